/** The comparison as readers use it: five techniques at once, on the real server. */
import type { Page } from '@playwright/test'
import { expect, test, type Site } from './fixture'

// Recovering from a cut takes some seconds, and more on a busy machine.
test.describe.configure({ timeout: 90_000 })

const TECHNIQUES = ['Short polling', 'Long polling', 'SSE', 'WebSocket', 'Webhook'] as const
type Name = (typeof TECHNIQUES)[number]

// The columns of the table, after the technique.
const [REQUESTS, IN_VAIN, UP, DOWN, OVERHEAD, MEDIAN, P95, RECEIVED, MISSED] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const row = (page: Page, technique: Name) =>
  page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: technique }) })
const cell = (page: Page, technique: Name, column: number) => row(page, technique).getByRole('cell').nth(column)
const slider = (page: Page, name: string) => page.getByRole('slider', { name })
const checkbox = (page: Page, technique: Name) => row(page, technique).getByRole('checkbox')

/** A number in the table, without its unit; NaN for a dash. */
async function value(page: Page, technique: Name, column: number): Promise<number> {
  return Number.parseFloat(((await cell(page, technique, column).textContent()) ?? '').replaceAll(',', ''))
}

async function atLeast(page: Page, technique: Name, column: number, least: number): Promise<void> {
  await expect.poll(() => value(page, technique, column), { timeout: 30_000 }).toBeGreaterThanOrEqual(least)
}

const openDetails = (page: Page) => page.getByText('Details: settings').click()

/** Opens the page and starts it, with twenty events and five short polls per second. */
async function start(page: Page, site: Site): Promise<void> {
  await page.goto(`${site.url}/comparison`)
  await openDetails(page)
  await slider(page, 'Events').fill('5')
  await slider(page, 'Short polling').fill('1')
  await press(page, 'Start')
  await expect(page.getByRole('status')).toHaveText('Running')
}

/** The page's own errors, without those of requests that were cut. */
function complaints(page: Page): string[] {
  const heard: string[] = []
  page.on('pageerror', (error) => heard.push(String(error)))
  page.on('console', (message) => {
    const text = message.text()
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection/.test(text)) heard.push(text)
  })
  return heard
}

test('all five techniques deliver, each with its cost', async ({ page, site }) => {
  const heard = complaints(page)
  await start(page, site)
  for (const technique of TECHNIQUES) {
    await atLeast(page, technique, RECEIVED, 40)
    for (const column of [REQUESTS, UP, DOWN, OVERHEAD, MEDIAN, P95])
      await expect.poll(() => value(page, technique, column)).toBeGreaterThan(0)
    expect(await value(page, technique, MISSED)).toBe(0)
  }
  expect(await value(page, 'SSE', REQUESTS)).toBe(1)
  expect(await value(page, 'WebSocket', REQUESTS)).toBe(1)
  expect(await value(page, 'Long polling', REQUESTS)).toBeGreaterThan(10)
  expect(await value(page, 'SSE', OVERHEAD)).toBeLessThan(await value(page, 'Short polling', OVERHEAD))
  expect(await value(page, 'Short polling', OVERHEAD)).toBeLessThan(await value(page, 'Long polling', OVERHEAD))
  // Drawn once it is in view.
  const plot = page.getByRole('img', { name: 'Plot of the latency' })
  await plot.scrollIntoViewIfNeeded()
  await expect(plot.locator('canvas')).toBeVisible()
  await expect(page.getByText('P95').first()).toBeVisible()
  expect(heard).toEqual([])
})

test('the columns of the table stay in place when the figures grow', async ({ page, site }) => {
  await page.goto(`${site.url}/comparison`)
  await openDetails(page)
  const left = () =>
    page
      .getByRole('columnheader')
      .evaluateAll((columns: HTMLElement[]) => columns.map((column) => [column.offsetLeft, column.offsetWidth]))
  const before = await left()
  await press(page, 'Start')
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 20)
  expect(await left()).toEqual(before)
  const cut = await page
    .getByRole('cell')
    .evaluateAll((cells: HTMLElement[]) => cells.filter((one) => one.scrollWidth > one.clientWidth).length)
  expect(cut).toBe(0)
})

test('after a cut SSE, polling and the webhook have missed nothing, and a plain WebSocket has', async ({
  page,
  site,
}) => {
  const heard = complaints(page)
  await start(page, site)
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 10)
  for (let cuts = 1; cuts <= 2; cuts++) {
    await press(page, 'Cut connections')
    await expect(page.getByText(`Cuts: ${cuts}.`).first()).toBeVisible()
    for (const technique of ['SSE', 'WebSocket'] as const) await atLeast(page, technique, REQUESTS, 1 + cuts)
    for (const technique of TECHNIQUES)
      await atLeast(page, technique, RECEIVED, (await value(page, technique, RECEIVED)) + 20)
  }
  for (const technique of TECHNIQUES) {
    if (technique === 'WebSocket') expect(await value(page, technique, MISSED)).toBeGreaterThan(0)
    else expect(await value(page, technique, MISSED)).toBe(0)
  }
  const claims = page
    .getByRole('region')
    .or(page.locator('section'))
    .filter({ has: page.getByRole('heading', { name: 'SSE' }) })
  await expect(claims.last()).toContainText('Missed: 0. Cuts: 2.')
  expect(heard).toEqual([])
})

test('Stop ends everything, on the server too, and Start starts over', async ({ page, site }) => {
  await start(page, site)
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 5)
  // The stream and the socket; a long poll is counted only while it is held.
  await expect.poll(() => site.streams.size).toBeGreaterThanOrEqual(2)
  const name = /run=(\w+)/.exec(site.to('/sse/comparison/stream')[0]?.url ?? '')?.[1] ?? ''
  await press(page, 'Stop')
  await expect(page.getByRole('status')).toHaveText('Stopped')
  await expect.poll(() => site.streams.size).toBe(0)
  const figures = await fetch(`${site.url}/sse/comparison/figures?run=${name}`)
  expect(figures.status).toBe(404)
  const asked = site.requests.length
  await page.waitForTimeout(1_500)
  expect(site.requests.length).toBeLessThanOrEqual(asked + 1)

  await press(page, 'Start')
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 5)
  await page.getByRole('link', { name: 'Timestamps' }).click()
  await expect.poll(() => site.streams.size).toBe(0)
})

test('rate, payload and interval change while it runs, and Reset counts from 0', async ({ page, site }) => {
  await start(page, site)
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 20)
  await slider(page, 'Payload').fill('5')
  await expect.poll(() => value(page, 'WebSocket', DOWN)).toBeGreaterThan(0)
  await expect(cell(page, 'WebSocket', DOWN)).toContainText('kB', { timeout: 20_000 })

  // No events for a while, and short polls that come back empty.
  await slider(page, 'Events').fill('0')
  await slider(page, 'Short polling').fill('0')
  await atLeast(page, 'Short polling', IN_VAIN, 10)
  await press(page, 'Reset figures')
  await expect.poll(() => value(page, 'SSE', RECEIVED)).toBeLessThan(5)
  expect(await value(page, 'SSE', MISSED)).toBe(0)
  await slider(page, 'Events').fill('7')
  await atLeast(page, 'SSE', RECEIVED, 100)
  for (const technique of TECHNIQUES) expect(await value(page, technique, MISSED)).toBe(0)
})

test('each technique can be disabled and enabled, and events in between do not count as missed', async ({
  page,
  site,
}) => {
  await start(page, site)
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 5)
  for (const technique of TECHNIQUES) await checkbox(page, technique).uncheck()
  await expect.poll(() => site.streams.size).toBe(0)
  const received = () => Promise.all(TECHNIQUES.map((technique) => value(page, technique, RECEIVED)))
  let before: number[] = []
  // The page learns of webhook deliveries with the next figures.
  await expect(async () => {
    before = await received()
    await page.waitForTimeout(1_500)
    expect(await received()).toEqual(before)
  }).toPass({ timeout: 20_000 })
  // One delivery may still have been in flight.
  const requests = await value(page, 'Webhook', REQUESTS)
  expect(requests - (await value(page, 'Webhook', RECEIVED))).toBeLessThanOrEqual(1)

  for (const technique of TECHNIQUES) await checkbox(page, technique).check()
  for (const [n, technique] of TECHNIQUES.entries()) {
    await atLeast(page, technique, RECEIVED, (before[n] ?? 0) + 20)
    expect(await value(page, technique, MISSED)).toBe(0)
  }
})

test('the page says that the server no longer has the run', async ({ page, site }) => {
  await start(page, site)
  await atLeast(page, 'SSE', RECEIVED, 5)
  const name = /run=(\w+)/.exec(site.to('/sse/comparison/stream')[0]?.url ?? '')?.[1] ?? ''
  await fetch(`${site.url}/sse/comparison/stop?run=${name}`, { method: 'POST' })
  await expect(page.getByRole('status')).toContainText('The server has ended the run')
  await expect.poll(() => site.streams.size).toBe(0)
  await press(page, 'Start')
  await expect(page.getByRole('status')).toHaveText('Running')
})

test('a refusal of the server is shown, and Start can be pressed again', async ({ page, site }) => {
  const busy = { error: { code: 'capacity-runs', message: '50 comparisons are running: try again later.' } }
  await page.route('**/sse/comparison/run', (route) => route.fulfill({ status: 503, json: busy }), { times: 1 })
  await page.goto(`${site.url}/comparison`)
  await openDetails(page)
  await press(page, 'Start')
  await expect(page.getByRole('alert')).toHaveText('Too many comparisons are running: try again later.')
  await press(page, 'Start')
  await expect(page.getByRole('alert')).toHaveCount(0)
  for (const technique of TECHNIQUES) await atLeast(page, technique, RECEIVED, 1)
})

test('the code of each technique is there, and the plots follow light and dark', async ({ page, site }) => {
  await page.goto(`${site.url}/comparison`)
  await openDetails(page)
  for (const [technique, code] of [
    ['Short polling', 'export async function shortPolling'],
    ['Long polling', 'export async function longPolling'],
    ['SSE', 'useEventSource('],
    ['WebSocket', 'new WebSocket('],
    ['Webhook', 'class WebhookReceiver'],
  ] as const) {
    await page.getByRole('radio', { name: technique, exact: true }).check()
    await expect(page.locator('figure pre').first()).toContainText(code)
  }
  const picture = () =>
    page
      .locator('.uplot canvas')
      .first()
      .evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL())
  await page.emulateMedia({ colorScheme: 'light' })
  await page.getByRole('img', { name: 'Plot of the latency' }).scrollIntoViewIfNeeded()
  await expect(page.locator('.uplot canvas')).toHaveCount(2)
  const light = await picture()
  await page.emulateMedia({ colorScheme: 'dark' })
  await expect.poll(picture).not.toBe(light)
})

/** A row with its picture and three figures. */
const picture = (page: Page, technique: Name) =>
  page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: technique, exact: true }) })

test('the pictures alone say which technique is fast, which is small, and which loses events', async ({
  page,
  site,
}) => {
  const heard = complaints(page)
  await page.goto(`${site.url}/comparison`)
  await expect(page.getByText('use SSE')).toBeVisible()
  await press(page, 'Start')
  const marked = (technique: Name, figure: string) =>
    picture(page, technique).locator('[data-mark]').filter({ hasText: figure }).getAttribute('data-mark')
  await expect.poll(() => marked('Short polling', 'Median latency'), { timeout: 30_000 }).toBe('worst')
  await expect.poll(() => marked('WebSocket', 'Extra bytes')).toBe('best')
  // It would appear if anything had been lost.
  await expect(picture(page, 'WebSocket')).toContainText(/Lost after a cut\s*–/)
  await press(page, 'Cut connections')
  await expect.poll(() => marked('WebSocket', 'Lost'), { timeout: 30_000 }).toBe('worst')
  for (const technique of ['Short polling', 'SSE', 'Webhook'] as const)
    await expect.poll(() => marked(technique, 'Lost'), { timeout: 30_000 }).toBe('best')
  expect(heard).toEqual([])
})

test('a picture moves during the run, stands still afterwards, and shows the latency under the pointer', async ({
  page,
  site,
}) => {
  await page.goto(`${site.url}/comparison`)
  const drawn = () =>
    picture(page, 'SSE')
      .locator('canvas')
      .evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL())
  const empty = await drawn()
  await press(page, 'Start')
  await expect.poll(drawn).not.toBe(empty)
  const before = await drawn()
  await expect.poll(drawn).not.toBe(before)
  // Until it is full of events.
  await page.waitForTimeout(5_000)
  await press(page, 'Stop')
  await expect(page.getByRole('status')).toHaveText('Stopped')
  const after = await drawn()
  await page.waitForTimeout(300)
  expect(await drawn()).toBe(after)
  const canvas = picture(page, 'SSE').locator('canvas')
  const { width = 0, height = 0 } = (await canvas.boundingBox()) ?? {}
  await canvas.hover({ position: { x: width * 0.8, y: height / 2 } })
  await expect(picture(page, 'SSE').getByText(/^Event \d+ took [\d.]+ ms$/)).toBeVisible()
})

test('within seconds the page says that the server is unreachable, and marks its figures', async ({ page, site }) => {
  await page.goto(`${site.url}/comparison`)
  await press(page, 'Start')
  await expect(picture(page, 'SSE')).toContainText(/latency\s*[\d.]+ ms/, { timeout: 30_000 })
  await site.stop()
  await expect(page.getByRole('status')).toHaveText('The server does not answer. The figures are out of date.', {
    timeout: 15_000,
  })
  await expect(page.locator('[data-stale]')).toBeVisible()
  await site.start()
  await expect(page.getByRole('status')).toHaveText('Running', { timeout: 15_000 })
  await expect(page.locator('[data-stale]')).toHaveCount(0)
})
