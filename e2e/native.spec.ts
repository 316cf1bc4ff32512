/** Truth: what the composable says with the browser's own EventSource, against servers that behave and that do not. */
import type { Page } from '@playwright/test'
import type { EventSourceOptions } from '../client/composables/useEventSource'
import { expect, stream, test, type Site } from './fixture'

type Options = EventSourceOptions<Record<never, never>, string, string>

async function listen(
  page: Page,
  site: Site,
  url: string | null,
  { names = ['message', 'close'], ...options }: Options & { names?: string[] } = {},
): Promise<void> {
  await page.goto(`${site.url}/harness`)
  await page.evaluate(([to, events, given]) => window.listen(to, events, given), [url, names, options] as const)
}

const status = (page: Page) => expect.poll(() => page.evaluate(() => window.harness.stream.status.value))
const reason = (page: Page) => page.evaluate(() => window.harness.stream.reason.value)
const statuses = (page: Page) => page.evaluate(() => window.harness.statuses)
const events = (page: Page) => page.evaluate(() => window.harness.events)
const content = (page: Page) => page.evaluate(() => window.harness.stream.content.value)

/** Numbers from 1, one every 10 ms; it is cut after every third, and resumes after the id that the client sends. */
function unreliable(site: Site, total: number): void {
  site.route('/numbers', (req, res) => {
    let n = Number(req.headers['last-event-id'] ?? 0)
    let sent = 0
    stream(res)
    const timer = setInterval(() => {
      if (n === total) res.end('event: close\ndata: bye\n\n')
      else if (sent === 3) res.destroy()
      else res.write(`id: ${++n}\ndata: ${n},\n\n`)
      sent++
    }, 10)
    res.on('close', () => clearInterval(timer))
  })
}

test('a stream is open, brings its events with their ids, and is closed by its done event', async ({ page, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'id: 1\ndata: a\n\ndata: b\n\nevent: close\nid: 2\ndata: bye\n\n'))
  await listen(page, site, '/sse')
  await status(page).toBe('closed')
  expect(await statuses(page)).toEqual(['connecting', 'open', 'closed finished'])
  expect(await events(page)).toEqual(['message:1:a', 'message:1:b', 'close:2:bye'])
  expect(await content(page)).toBe('ab')
})

test('a stream that was closed by its done event is never requested again', async ({ page, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'event: close\ndata: bye\n\n').end())
  await listen(page, site, '/sse')
  await status(page).toBe('closed')
  await page.waitForTimeout(300)
  expect(site.to('/sse')).toHaveLength(1)
})

test('a lost connection is reconnecting, and resumes with nothing lost or doubled', async ({ page, site }) => {
  unreliable(site, 20)
  await listen(page, site, '/numbers')
  await status(page).toBe('closed')
  expect(await content(page)).toBe(Array.from({ length: 20 }, (_, n) => `${n + 1},`).join(''))
  const seen = await statuses(page)
  expect(new Set(seen)).toEqual(new Set(['connecting', 'open', 'reconnecting network', 'closed finished']))
  expect(seen.filter((one) => one === 'reconnecting network')).toHaveLength(6)
  expect(site.to('/numbers').map(({ headers }) => headers['last-event-id'])).toEqual([
    undefined,
    ...[3, 6, 9, 12, 15, 18].map(String),
  ])
})

test('a server that restarts is reconnected to, and the attempts are counted', async ({ page, site }) => {
  site.route('/sse', (_req, res) => stream(res, `id: ${site.to('/sse').length}\ndata: hello\n\n`))
  await listen(page, site, '/sse')
  await status(page).toBe('open')
  await site.stop()
  await expect.poll(() => page.evaluate(() => window.harness.stream.attempt.value)).toBeGreaterThan(1)
  await status(page).toBe('reconnecting')
  expect(await page.evaluate(() => window.harness.stream.retryAt.value)).toBeNull()
  await site.start()
  await status(page).toBe('open')
  expect(await page.evaluate(() => window.harness.stream.error.value)).toBeNull()
  expect(site.to('/sse').at(-1)?.headers['last-event-id']).toBe('1')
})

const REFUSALS: [string, number, Record<string, string>][] = [
  ['204', 204, {}],
  ['404', 404, {}],
  ['503', 503, {}],
  ['a wrong content type', 200, { 'Content-Type': 'text/html' }],
]
for (const [name, code, headers] of REFUSALS) {
  test(`${name} is refused: it is tried again, by us, and then has failed`, async ({ page, site }) => {
    site.route('/sse', (_req, res) => res.writeHead(code, headers).end())
    await listen(page, site, '/sse', { retry: { base: 10, max: 2 } })
    await status(page).toBe('failed')
    expect(await statuses(page)).toEqual(['connecting', 'reconnecting refused', 'failed refused'])
    expect(await page.evaluate(() => window.harness.stream.error.value?.kind)).toBe('refused')
    expect(site.to('/sse')).toHaveLength(3)
  })
}

test('a refusal that passes is survived, and the id goes into the query', async ({ page, site }) => {
  site.route('/sse', (_req, res) => {
    const attempt = site.to('/sse').length
    if (attempt === 1) stream(res, 'id: é&1\ndata: a\n\n').end()
    else if (attempt === 2) res.writeHead(503).end()
    else stream(res, 'data: b\n\n')
  })
  await listen(page, site, '/sse?room=a%20b#top', { retry: { base: 10 } })
  await expect.poll(() => events(page)).toEqual(['message:é&1:a', 'message:é&1:b'])
  const url = new URL(site.to('/sse').at(-1)?.url ?? '', site.url)
  expect([...url.searchParams]).toEqual([
    ['room', 'a b'],
    ['lastEventId', 'é&1'],
  ])
})

test("a server's events named error and open are messages, and change no status", async ({ page, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'event: error\ndata: a\n\nevent: open\ndata: b\n\ndata: c\n\n'))
  await listen(page, site, '/sse', { names: ['error', 'open', 'message'] })
  await expect.poll(() => events(page)).toEqual(['error::a', 'open::b', 'message::c'])
  expect(await statuses(page)).toEqual(['connecting', 'open'])
  expect(await page.evaluate(() => window.harness.stream.error.value)).toBeNull()
})

test('a URL that cannot be one fails for good', async ({ page, site }) => {
  for (const url of ['http://[', 'ftp://127.0.0.1/sse']) {
    await listen(page, site, url)
    await status(page).toBe('failed')
    expect(await reason(page)).toBe('invalid-url')
  }
})

test('a burst of 5,000 events in one packet arrives whole, and is rendered in far fewer steps', async ({
  page,
  site,
}) => {
  const data = Array.from({ length: 5_000 }, (_, n) => `${n},`)
  const burst = data.map((text) => `data: ${text}\n\n`).join('')
  site.route('/sse', (_req, res) => stream(res, `${burst}event: close\ndata: bye\n\n`))
  await listen(page, site, '/sse')
  await status(page).toBe('closed')
  expect(await content(page)).toBe(data.join(''))
  expect(await events(page)).toHaveLength(5_001)
  expect(await page.evaluate(() => window.harness.commits)).toBeLessThan(1_000)
})

test('stop ends the connection at the server, and start resumes', async ({ page, site }) => {
  let open = 0
  site.route('/sse', (_req, res) => {
    open++
    stream(res, 'id: 7\ndata: a\n\n').on('close', () => open--)
  })
  await listen(page, site, '/sse')
  await expect.poll(() => events(page)).toHaveLength(1)
  await page.evaluate(() => window.harness.stream.stop())
  await expect.poll(() => open).toBe(0)
  for (let round = 0; round < 5; round++) {
    await page.evaluate(() => {
      window.harness.stream.start()
      window.harness.stream.stop()
      window.harness.stream.start()
    })
  }
  await status(page).toBe('open')
  expect(open).toBe(1)
  expect(site.to('/sse').at(-1)?.url).toBe('/sse?lastEventId=7')
})

test('a changed URL and the end of the scope leave no connection behind', async ({ page, site }) => {
  const open: string[] = []
  for (const name of ['/a', '/b']) {
    site.route(name, (_req, res) => {
      open.push(name)
      stream(res).on('close', () => open.splice(open.indexOf(name), 1))
    })
  }
  await listen(page, site, '/a')
  await expect.poll(() => open).toEqual(['/a'])
  await page.evaluate(() => {
    window.harness.url.value = '/b'
  })
  await expect.poll(() => open).toEqual(['/b'])
  await page.evaluate(() => window.harness.scope.stop())
  await expect.poll(() => open).toEqual([])
})
