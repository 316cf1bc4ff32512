/** The live figures as people see them: real, in every tab, fast, and pale when they are no longer fresh. */
import type { BrowserContext, Page } from '@playwright/test'
import { livePaths, PAIRS } from '../shared/demos/live'
import { expect, test, type Site } from './fixture'

const figure = (page: Page, name: string) => page.locator(`[data-figure=${name}] .value`)
const meter = async (page: Page, name: string): Promise<number> =>
  Number(/\d+/.exec((await page.locator(`[data-meter=${name}]`).textContent()) ?? '')?.[0])

async function open(context: BrowserContext, site: Site): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${site.url}/live`)
  await expect(figure(page, 'online')).toBeVisible({ timeout: 20_000 })
  return page
}

test('people are counted once, however many tabs they have, over one connection', async ({
  context,
  browser,
  site,
}) => {
  const [one] = [await open(context, site), await open(context, site)]
  await expect(figure(one, 'online')).toHaveText('1')
  await expect.poll(() => site.streams.size, { timeout: 20_000 }).toBe(1)
  const elsewhere = await browser.newContext()
  await open(elsewhere, site)
  await expect(figure(one, 'online')).toHaveText('2')
  await elsewhere.close()
  await expect(figure(one, 'online')).toHaveText('1')
})

test('an order counts in every tab, from a button or from curl', async ({ context, site }) => {
  const [one, two] = [await open(context, site), await open(context, site)]
  await one.getByRole('button', { name: /Order a cake/ }).click()
  for (const page of [one, two]) await expect(figure(page, 'takings')).toHaveText('€4.80')
  await fetch(site.url + livePaths.orders, { method: 'POST', body: new URLSearchParams({ item: 'tea' }) })
  for (const page of [one, two]) {
    await expect(figure(page, 'orders')).toHaveText('2')
    await expect(figure(page, 'takings')).toHaveText('€8.00')
    await expect(page.getByText('latest: a tea')).toBeVisible()
  }
})

test('every rate has a line, and says that it is made up', async ({ context, site }) => {
  const page = await open(context, site)
  await expect(page.getByText('made up: a random walk')).toBeVisible()
  for (const pair of PAIRS) await expect(page.getByRole('img', { name: pair }).locator('canvas')).toBeVisible()
})

test('nothing moves when the figures come, change and grow old', async ({ browser, site }) => {
  for (const width of [1_280, 360]) {
    const context = await browser.newContext({ viewport: { width, height: 800 } })
    const page = await context.newPage()
    await page.addInitScript(() => {
      window.shift = 0
      new PerformanceObserver((list) => {
        for (const { value = 0 } of list.getEntries() as (PerformanceEntry & { value?: number })[])
          window.shift += value
      }).observe({ type: 'layout-shift', buffered: true })
    })
    // The page is drawn before the first figure is known.
    site.route(livePaths.stream, (_req, res) => res.writeHead(503, { 'Retry-After': '1' }).end())
    await page.goto(`${site.url}/live`)
    await expect(page.locator('[data-status=reconnecting]')).toBeVisible()
    await expect(figure(page, 'online')).toHaveText('–')
    site.unroute(livePaths.stream)
    await expect(figure(page, 'online')).toHaveText('1', { timeout: 20_000 })
    await fetch(site.url + livePaths.orders, { method: 'POST', body: new URLSearchParams({ item: 'tea' }) })
    await expect(page.getByText('latest: a tea')).toBeVisible()
    await site.stop()
    await expect(page.getByText(/^\d+ s old$/)).toBeVisible({ timeout: 20_000 })
    expect(await page.evaluate(() => window.shift)).toBeLessThan(0.01)
    await site.start()
    await context.close()
  }
})

test('a thousand changes a second are drawn once a frame', async ({ context, site }) => {
  const page = await open(context, site)
  await page.evaluate(() => {
    // Changes of the document, and frames: what is drawn more often than once a frame is wasted.
    Object.assign(window, { drawn: 0, framesDrawn: 0 })
    const value = document.querySelector('.rate b')
    if (value)
      new MutationObserver(() => (window.drawn += 1)).observe(value, {
        characterData: true,
        childList: true,
        subtree: true,
      })
    const onFrame = (): void => {
      window.framesDrawn += 1
      requestAnimationFrame(onFrame)
    }
    requestAnimationFrame(onFrame)
  })
  await page.getByRole('button', { name: '1,000 changes a second' }).click()
  await expect.poll(() => meter(page, 'changes'), { timeout: 20_000 }).toBeGreaterThan(200)
  const { drawn, frames } = await page.evaluate(() => ({ drawn: window.drawn, frames: window.framesDrawn }))
  expect(drawn).toBeGreaterThan(0)
  expect(drawn).toBeLessThanOrEqual(frames + 1)
  const shown = await page.locator('[data-meter]').allTextContents()
  const [changesShown = NaN, framesShown = NaN] = shown.map((text) => Number(/\d+/.exec(text)?.[0]))
  expect(framesShown).toBeGreaterThan(0)
  expect(framesShown).toBeLessThan(changesShown)
})

test('figures that are no longer fresh look it, with their age, and are fresh again when the server is back', async ({
  context,
  site,
}) => {
  const page = await open(context, site)
  const figures = page.locator('.figures')
  await expect(figures).toHaveAttribute('data-stale', 'false')
  await site.stop()
  await expect(figures).toHaveAttribute('data-stale', 'true', { timeout: 20_000 })
  await expect(page.getByText(/^\d+ s old$/)).toBeVisible()
  const colourOf = (selector: string): Promise<string> =>
    figures
      .locator(selector)
      .first()
      .evaluate((element) => getComputedStyle(element).color)
  expect(await colourOf('.rate b')).toBe(await colourOf('.value'))
  await site.start()
  await expect(figures).toHaveAttribute('data-stale', 'false', { timeout: 30_000 })
})

declare global {
  interface Window {
    shift: number
    drawn: number
    framesDrawn: number
  }
}
