/** Every page of the demo, in every engine: it opens, starts, stops, switches transport and language, and reports no error. */
import { writeFile } from 'node:fs/promises'
import { en } from '../client/site/locales/en'
import { zhCN } from '../client/site/locales/zh-CN'
import { pages, type PageName } from '../shared/pages'
import type { Tab } from './engine'
import { expect, test, type Site } from './fixture'

test.setTimeout(90_000)

const NAMES = Object.keys(pages) as PageName[]

declare global {
  interface Window {
    /** Errors of the page, from its very first script on. */
    reported: string[]
  }
}

/** Runs before the page's own scripts. It is a file, because the content security policy refuses inline scripts. */
function recordErrors(): void {
  window.reported = []
  const report = (...words: unknown[]): void => void window.reported.push(words.map(String).join(' '))
  console.error = console.warn = report
  console.assert = (isTrue, ...words) => {
    if (isTrue !== true) report('Assertion failed', ...words)
  }
  // A script or stylesheet that fails to load fires its own event, which does not bubble.
  addEventListener(
    'error',
    (event) => report((event as Partial<ErrorEvent>).message ?? `not loaded: ${(event.target as Element).outerHTML}`),
    true,
  )
  addEventListener('unhandledrejection', ({ reason }) => report('unhandled rejection', reason))
  addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
    report(violatedDirective, blockedURI),
  )
}

/** Opens a page of the demo, with only that script added. */
async function open(tab: Tab, site: Site, path: string): Promise<void> {
  site.route('/recordErrors.js', (_req, res) =>
    res.setHeader('Content-Type', 'text/javascript').end(`(${String(recordErrors)})()`),
  )
  const page = await fetch(site.url + path, { headers: { Accept: 'text/html' } })
  const html = (await page.text()).replace('<head>', '<head><script src="/recordErrors.js"></script>')
  const policy = page.headers.get('Content-Security-Policy') ?? ''
  site.route(path, (_req, res) =>
    res.writeHead(200, { 'Content-Type': 'text/html', 'Content-Security-Policy': policy }).end(html),
  )
  await tab.goto(site.url + path)
  await expect.poll(() => heading(tab)).not.toBe('')
}

const heading = (tab: Tab): Promise<string> => tab.evaluate(() => document.querySelector('h2')?.textContent ?? '')
const statuses = (tab: Tab): Promise<string[]> =>
  tab.evaluate(() => Array.from(document.querySelectorAll('[role=status]'), (pill) => pill.textContent.trim()))

/** Presses the first button with one of these names. */
async function press(tab: Tab, ...names: string[]): Promise<void> {
  const isPressed = (): Promise<boolean> =>
    tab.evaluate((wanted) => {
      const buttons = [...document.querySelectorAll('button')]
      const button = buttons.find(({ textContent }) => wanted.includes(textContent.trim()))
      button?.click()
      return button !== undefined
    }, names)
  await expect.poll(isPressed, `a button ${names.join(' or ')}`).toBe(true)
}

const START = [en.stream.start, en.channel.startAll]
const STOP = [en.stream.stop, en.channel.stopAll]
/** Their streams open by themselves, or with a question; they have suites of their own. */
const WITHOUT_START: readonly PageName[] = ['use', 'live', 'inbox', 'answer', 'todos']

for (const name of NAMES) {
  test(`${name} opens, starts, stops, and switches transport and language`, async ({
    tab,
    site,
    engineName,
  }, testInfo) => {
    await open(tab, site, pages[name])
    expect(await heading(tab)).toBe(en[name].title)
    const transports = await tab.evaluate(() => document.querySelectorAll('[name=transport]').length)
    const rounds = WITHOUT_START.includes(name) ? 0 : Math.max(1, transports)
    for (let at = 0; at < rounds; at++) {
      await tab.evaluate((n) => document.querySelectorAll<HTMLInputElement>('[name=transport]')[n]?.click(), at)
      const requests = site.requests.length
      await press(tab, ...START)
      await expect.poll(() => site.requests.length).toBeGreaterThan(requests)
      await expect.poll(async () => (await statuses(tab)).join()).not.toContain(en.status.idle)
      await press(tab, ...STOP)
      await expect
        .poll(async () => (await statuses(tab)).filter((text) => [en.status.open, en.status.connecting].includes(text)))
        .toEqual([])
    }
    await press(tab, en.language)
    await expect.poll(() => heading(tab)).toBe(zhCN[name].title)
    await press(tab, zhCN.language)
    await expect.poll(() => heading(tab)).toBe(en[name].title)
    expect(await tab.evaluate(() => window.reported)).toEqual([])
    if (name === 'timestamps') await writeFile(testInfo.outputPath(`${engineName}.png`), await tab.screenshot())
  })
}

test('every page is reachable from any other, without loading a new document', async ({ tab, site }) => {
  await open(tab, site, '/')
  for (const name of NAMES.toReversed()) {
    await tab.evaluate((path) => document.querySelector<HTMLElement>(`nav a[href="${path}"]`)?.click(), pages[name])
    await expect.poll(() => heading(tab)).toBe(en[name].title)
  }
  expect(await tab.evaluate(() => window.reported)).toEqual([])
})
