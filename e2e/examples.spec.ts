/** The examples on the pages, each in a project with only the composables, as after copying them. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Page } from '@playwright/test'
import vue from '@vitejs/plugin-vue'
import { build } from 'vite'
import { expect, test, type Site } from './fixture'

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = readdirSync(`${root}client/demos`).filter((name) =>
  existsSync(`${root}client/demos/${name}/Example.vue`),
)
const text = (page: Page) => expect(page.locator('#app'))

/** These have no Start: they open immediately. */
const IMMEDIATE = ['answer', 'inbox', 'live', 'todos']

/** What each shows after Start. */
const SHOWS: Record<string, (page: Page, site: Site) => Promise<void>> = {
  timestamps: async (page) => {
    await text(page).toContainText('closed')
    const lines = (await page.locator('textarea').inputValue()).trim().split('\n')
    expect(lines).toHaveLength(30)
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  },
  emitter: async (page) => {
    await text(page).toContainText('closed The server failed')
    await text(page).toContainText(/Data #0\n.*Data #1\n.*Data #2\n$/)
  },
  byHand: async (page) => {
    await text(page).toContainText('open')
    expect(await page.locator('pre').textContent()).toBe('')
  },
  channel: async (page, site) => {
    await text(page).toContainText('连接成功\n')
    await site.hub.publish('news', { data: 'hello' })
    await text(page).toContainText('连接成功\nhello\n')
    await page.getByRole('button', { name: 'Stop' }).click()
    await text(page).toContainText('closed')
  },
  reconnect: async (page, site) => {
    await text(page).toContainText('连接成功\n')
    await expect.poll(() => site.to('/sse/subscribe').length, { timeout: 20_000 }).toBeGreaterThan(1)
    await site.hub.publish('news', { data: 'hello' })
    await text(page).toContainText('hello\n')
  },
  transports: async (page, site) => {
    // Only the first was started; each works beside the others.
    for (const n of [1, 2]) await page.getByRole('button', { name: 'Start' }).nth(n).click()
    for (const n of [0, 1, 2]) await expect(page.locator('p').nth(n)).toContainText(/(\d{4}-\d\d-\d\d [\d:]{8}){30}/)
    expect(site.to('/sse').map(({ headers }) => headers.authorization)).toContain('Bearer a-token')
  },
  wire: async (page) => {
    await text(page).toContainText('"event": "close"')
  },
  answer: async (page) => {
    await page.getByRole('textbox').fill('What is SSE?')
    await page.getByRole('button', { name: 'Ask' }).click()
    await expect(page.locator('article')).toContainText('I am **not a model**')
  },
  inbox: async (page, site) => {
    await text(page).toContainText('0 unread')
    const body = new URLSearchParams({ user: 'ada', from: 'bob', text: 'hello' })
    expect((await fetch(`${site.url}/sse/inbox/messages`, { method: 'POST', body })).ok).toBe(true)
    await text(page).toContainText('1 unread')
    await page.getByRole('button', { name: 'Mark as read' }).click()
    await text(page).toContainText('0 unread')
  },
  live: async (page) => {
    await text(page).toContainText('0 orders')
    await page.getByRole('button', { name: 'Order a tea' }).click()
    await text(page).toContainText('1 orders')
  },
  todos: async (page) => {
    await page.getByRole('textbox').fill('milk')
    await page.getByRole('textbox').press('Enter')
    await page.getByRole('checkbox', { name: 'milk' }).click()
    await expect(page.getByRole('checkbox', { name: 'milk' })).toBeChecked()
  },
}

let bundle: string

test.beforeAll(async () => {
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'examples-')))
  mkdirSync(`${project}/src/composables`, { recursive: true })
  symlinkSync(`${root}node_modules`, `${project}/node_modules`, 'junction')
  for (const file of ['useEventSource.ts', 'fetchTransport.ts', 'sharedTransport.ts'])
    cpSync(`${root}client/composables/${file}`, `${project}/src/composables/${file}`)
  for (const name of examples) cpSync(`${root}client/demos/${name}/Example.vue`, `${project}/src/${name}.vue`)
  writeFileSync(
    `${project}/src/main.ts`,
    `import { createApp } from 'vue'
     const examples = import.meta.glob('./*.vue', { eager: true, import: 'default' })
     createApp(examples[\`./\${location.search.slice(1)}.vue\`]).mount('#app')`,
  )
  const result = await build({
    configFile: false,
    root: project,
    logLevel: 'silent',
    // Vue reports a component's problems only in development.
    mode: 'development',
    define: { 'process.env.NODE_ENV': '"development"' },
    plugins: [vue()],
    resolve: { alias: { '@': `${project}/src` } },
    build: { write: false, minify: false, lib: { entry: `${project}/src/main.ts`, formats: ['es'] } },
  }).finally(() => rmSync(project, { recursive: true }))
  const [built] = result as unknown as { output: { code: string }[] }[]
  bundle = built?.output[0]?.code ?? ''
})

test('every example is here', () => {
  expect(Object.keys(SHOWS).sort()).toEqual(examples.toSorted())
})

for (const [name, shows] of Object.entries(SHOWS)) {
  test(`the example of ${name} works unchanged`, async ({ page, site }) => {
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (['warning', 'error'].includes(message.type())) problems.push(message.text())
    })
    site.route('/example', (_req, res) =>
      res
        .setHeader('Content-Type', 'text/html; charset=utf-8')
        .end(
          '<!doctype html><link rel="icon" href="data:,"><div id="app"></div><script type="module" src="/example.js"></script>',
        ),
    )
    site.route('/example.js', (_req, res) =>
      res.setHeader('Content-Type', 'text/javascript; charset=utf-8').end(bundle),
    )
    await page.goto(`${site.url}/example?${name}`)
    if (!IMMEDIATE.includes(name)) await page.getByRole('button', { name: 'Start' }).first().click()
    await shows(page, site)
    expect(problems).toEqual([])
  })
}
