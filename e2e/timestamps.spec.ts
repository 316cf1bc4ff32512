/** The first page as readers use it: from the server's clock to the text area. */
import type { Page } from '@playwright/test'
import { expect, test } from './fixture'

const output = (page: Page) => page.getByRole('textbox', { name: 'Output' })
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const lines = async (page: Page): Promise<string[]> =>
  (await output(page).inputValue()).split('\n').filter((line) => line && !/^— (new run|resumed)/.test(line))

test('start shows thirty timestamps, the server finishes, and that is all', async ({ page, site }) => {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => complaints.push(message.text()))
  await page.goto(site.url)
  await expect(page.getByRole('status')).toHaveText('Not started')
  await press(page, 'Start')
  await expect(page.getByRole('status')).toHaveText('Receiving')
  await expect(page.getByRole('status')).toHaveText('Finished by the server')
  const all = await lines(page)
  expect(all).toHaveLength(30)
  for (const line of all) expect(line).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  await expect(page.getByRole('row')).toHaveCount(1 + 31)
  await expect(page.getByRole('row').last()).toContainText('Connection closed by server')
  await page.waitForTimeout(300)
  expect(site.to('/sse')).toHaveLength(1)
  expect(site.streams.size).toBe(0)
  expect(complaints).toEqual([])
})

test('starting again begins a new run', async ({ page, site }) => {
  await page.goto(site.url)
  for (const expected of [30, 60]) {
    await press(page, 'Start')
    await expect.poll(() => lines(page)).toHaveLength(expected)
    await expect(page.getByRole('status')).toHaveText('Finished by the server')
  }
})

test('after a server restart the page reconnects, and no line is missing', async ({ page, site }) => {
  await page.goto(site.url)
  await press(page, 'Start')
  await expect.poll(() => lines(page)).not.toHaveLength(0)
  await site.stop()
  await expect(page.getByRole('status')).toHaveText(/^Reconnecting, attempt \d+: connection lost/)
  await expect(page.getByRole('alert')).toContainText('The server does not answer')
  await site.start()
  await expect(page.getByRole('status')).toHaveText('Finished by the server', { timeout: 15_000 })
  expect(await lines(page)).toHaveLength(30)
  await expect(page.getByRole('alert')).toHaveCount(0)
})

test.describe('a server that refuses', () => {
  test.beforeEach(({ site }) => {
    site.route('/sse', (_req, res) =>
      res
        .writeHead(503, { 'Retry-After': '30', 'Content-Type': 'application/json' })
        .end('{"error":{"code":"capacity-total","message":"10 streams are open: try again later."}}'),
    )
  })

  test('is reported with its status, which native EventSource hides', async ({ page, site }) => {
    await page.goto(site.url)
    await press(page, 'Start')
    await expect(page.getByRole('status')).toHaveText(/^Reconnecting, attempt \d: refused by the server/)
    await expect(page.getByRole('alert')).toHaveText('The server answered with status 503.')
    await press(page, 'Stop')
    await expect(page.getByRole('status')).toHaveText('Stopped by you')
    await expect(page.getByRole('alert')).toHaveCount(0)
  })

  test('is quoted if its message can be read, and is asked again at once on request', async ({ page, site }) => {
    await page.goto(`${site.url}/?transport=fetch`)
    await press(page, 'Start')
    await expect(page.getByRole('status')).toHaveText(/^Reconnecting, attempt 1: refused by the server +in \d\d s$/)
    await expect(page.getByRole('alert')).toHaveText(
      'The server answered with status 503. The server has as many streams as it allows: try again later.',
    )
    await press(page, 'Retry now')
    await expect(page.getByRole('status')).toHaveText(/^Reconnecting, attempt 2: /)
    expect(site.to('/sse')).toHaveLength(2)
  })
})

test('the page says that the device is offline', async ({ page, site, context }) => {
  await page.goto(site.url)
  await press(page, 'Start')
  await site.stop()
  await context.setOffline(true)
  await expect(page.getByRole('alert')).toContainText('This device is offline')
  await context.setOffline(false)
  await expect(page.getByRole('alert')).toContainText('The server does not answer')
})

for (const transport of ['fetch', 'shared']) {
  test(`?transport=${transport} shows the same`, async ({ page, site }) => {
    await page.goto(`${site.url}/?transport=${transport}`)
    await press(page, 'Start')
    await expect(page.getByRole('status')).toHaveText('Finished by the server')
    expect(await lines(page)).toHaveLength(30)
    expect(site.to('/sse')).toHaveLength(1)
  })
}

test('clear empties the output and the list of events', async ({ page, site }) => {
  await page.goto(site.url)
  await press(page, 'Start')
  await expect(page.getByRole('status')).toHaveText('Finished by the server')
  await press(page, 'Clear')
  await expect(output(page)).toHaveValue('')
  await expect(page.getByRole('row')).toHaveCount(2)
  await press(page, 'Start')
  await expect.poll(() => lines(page)).toHaveLength(30)
  await expect(page.getByRole('row')).toHaveCount(1 + 31)
})

test('the text area follows the newest line, but not a reader who scrolled up', async ({ page, site }) => {
  const below = () =>
    output(page).evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight)
  await page.goto(site.url)
  await press(page, 'Start')
  await expect.poll(() => lines(page)).toHaveLength(30)
  await expect.poll(below).toBeLessThanOrEqual(8)

  await output(page).evaluate((element) => element.scrollTo(0, 0))
  const visible = await output(page).evaluate((element) => {
    const { lineHeight, paddingTop } = getComputedStyle(element)
    return (element.clientHeight - parseFloat(paddingTop)) / parseFloat(lineHeight)
  })
  await press(page, 'Start')
  await expect(page.getByRole('status')).toHaveText('Finished by the server')
  expect(await output(page).evaluate((element) => element.scrollTop)).toBe(0)
  const button = page.getByRole('button', { name: 'more below' })
  const said = Number(/\d+/.exec((await button.textContent()) ?? '')?.[0])
  // Sixty timestamps, and the mark of the new run between them.
  expect(Math.abs(said - (61 - visible))).toBeLessThan(1)

  await button.click()
  await expect.poll(() => lines(page)).toHaveLength(60)
  await expect.poll(below).toBeLessThanOrEqual(8)
})

test('the page uses the language of the browser, until another one is chosen', async ({ browser, site }) => {
  const context = await browser.newContext({ locale: 'zh-CN' })
  const page = await context.newPage()
  await page.goto(site.url)
  await press(page, '发起调用')
  await expect(page.getByRole('status')).toHaveText('接收完毕')
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN')
  await press(page, 'English')
  await expect(page.getByRole('button', { name: 'Start', exact: true })).toBeVisible()
  await page.reload()
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
  await context.close()
})

test('the code can be copied', async ({ page, site, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(site.url)
  await page.getByRole('button', { name: 'Copy' }).first().click()
  await expect(page.getByRole('button', { name: 'Copied' })).toBeVisible()
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("useEventSource('/sse'")
})

test('a plain EventSource that never handles close also ends after thirty lines', async ({ page, site }) => {
  await page.goto(`${site.url}/harness`)
  await page.evaluate(() => {
    const text = document.body.appendChild(document.createElement('textarea'))
    const source = new EventSource('/sse')
    source.onmessage = (event) => {
      text.value += `${String(event.data)}\n`
    }
    Object.assign(window, { source })
  })
  const read = (): Promise<string[]> =>
    page.evaluate(() => document.querySelector('textarea')?.value.split('\n').filter(Boolean) ?? [])
  const state = (): Promise<number> =>
    page.evaluate(() => (window as unknown as { source: EventSource }).source.readyState)
  await expect.poll(read, { timeout: 15_000 }).toHaveLength(30)
  // It does reconnect once, after the server's retry hint; the 204 then ends it.
  await expect.poll(state, { timeout: 15_000 }).toBe(2)
  expect(site.to('/sse')).toHaveLength(2)
  expect(await read()).toHaveLength(30)
})

test.describe('once a second', () => {
  test.use({ interval: 1_000 })

  test('eight tabs stream at once over one connection', async ({ context, site }) => {
    const tabs = await Promise.all(Array.from({ length: 8 }, () => context.newPage()))
    for (const tab of tabs) {
      await tab.goto(`${site.url}/?transport=shared`)
      await press(tab, 'Start')
    }
    for (const tab of tabs) {
      await expect(tab.getByRole('status')).toHaveText('Receiving')
      const before = (await lines(tab)).length
      await expect.poll(async () => (await lines(tab)).length).toBeGreaterThan(before)
    }
    expect(site.streams.size).toBe(1)
    expect(site.to('/sse')).toHaveLength(1)
  })

  test('stop and start, any number of times, resume where the stream was, and never double it', async ({
    page,
    site,
  }) => {
    await page.goto(site.url)
    for (let round = 0; round < 5; round++) {
      await press(page, 'Start')
      await expect(page.getByRole('status')).toHaveText('Receiving')
      await expect.poll(() => lines(page)).not.toHaveLength(0)
      // Playwright waits for controls that are marked as disabled; people do not.
      await page.getByRole('button', { name: 'Start', exact: true }).click({ force: true })
      expect(site.streams.size).toBe(1)
      await press(page, 'Stop')
      await expect(page.getByRole('status')).toHaveText('Stopped by you')
      await expect.poll(() => site.streams.size).toBe(0)
    }
    await press(page, 'Start')
    await expect.poll(() => site.to('/sse').length).toBe(6)
    await expect.poll(async () => (await lines(page)).length).toBeGreaterThan(2)
    const ids = await page.locator('tbody td:nth-child(4)').allTextContents()
    expect(ids.map((id) => Number(id.split(':')[1]))).toEqual(ids.map((_id, n) => n + 1))
  })
})
