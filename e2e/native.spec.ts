/** Truth: what the composable says with the browser's own EventSource, against servers that behave and that do not. */
import { expect, stream, test } from './fixture'
import { events, listen, reason, status, statuses } from './listen'

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

test('the query has an id only when there is one, and credentials are asked for', async ({ page, site }) => {
  site.route('/sse', (_req, res) => stream(res))
  await page.addInitScript(() => {
    const Native = EventSource
    window.EventSource = class extends Native {
      constructor(url: string | URL, init?: EventSourceInit) {
        super(url, init)
        document.title = String(this.withCredentials)
      }
    }
  })
  await listen(page, site, '/sse', { withCredentials: true })
  await status(page).toBe('open')
  expect(site.to('/sse')[0]?.url).toBe('/sse')
  await expect(page).toHaveTitle('true')
})
