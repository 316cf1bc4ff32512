/** What the composable reports with the browser's own EventSource, against well-behaved and misbehaving servers. */
import { expect, stream, test } from './fixture'
import { content, events, listen, reason, status, statuses } from './listen'

const FINAL: [string, number, Record<string, string>, string][] = [
  ['404', 404, {}, 'http'],
  ['401', 401, {}, 'http'],
  ['a wrong content type', 200, { 'Content-Type': 'text/html' }, 'content-type'],
]
for (const [name, code, headers, kind] of FINAL) {
  test(`${name} fails at once with its reason, after one more request by fetch`, async ({ tab, site }) => {
    site.route('/sse', (_req, res) => res.writeHead(code, headers).end())
    await listen(tab, site, '/sse')
    await status(tab).toBe('failed')
    expect(await statuses(tab)).toEqual(['connecting', `failed ${kind}`])
    expect(await tab.evaluate(() => window.harness.stream.error.value?.status)).toBe(code)
    expect(site.to('/sse')).toHaveLength(2)
    expect(site.to('/sse').map(({ headers }) => headers.accept)).toEqual(['text/event-stream', 'text/event-stream'])
  })
}

test('204 is the end, not an error', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => res.writeHead(204).end())
  await listen(tab, site, '/sse')
  await status(tab).toBe('closed')
  expect(await statuses(tab)).toEqual(['connecting', 'closed no-content'])
})

test('503 is retried after its Retry-After', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => res.writeHead(503, { 'Retry-After': '3600' }).end())
  await listen(tab, site, '/sse')
  await status(tab).toBe('reconnecting')
  expect(await reason(tab)).toBe('http')
  const wait = await tab.evaluate(() => (window.harness.stream.retryAt.value ?? 0) - Date.now())
  expect(wait).toBeGreaterThan(3_590_000)
})

test('a stream that has finished unseen ends with the 204, and never starts from the beginning', async ({
  tab,
  site,
}) => {
  site.route('/sse', (req, res) => {
    const id = req.headers['last-event-id'] ?? new URL(req.url ?? '', site.url).searchParams.get('lastEventId')
    if (id) res.writeHead(204).end()
    else stream(res, 'id: 1\ndata: a\n\n').end()
  })
  await listen(tab, site, '/sse')
  await status(tab).toBe('closed')
  expect(await reason(tab)).toBe('no-content')
  expect(await content(tab)).toBe('a')
  expect(site.to('/sse').map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1', '1'])
})

test('asking why loses no queued event, even if the response carries them', async ({ tab, site }) => {
  let busy = true
  site.route('/sse', (req, res) => {
    const after = req.headers['last-event-id'] ?? new URL(req.url ?? '', site.url).searchParams.get('lastEventId')
    const requests = site.to('/sse').length
    if (after === null) stream(res, 'id: 1\ndata: 1,\n\n').end()
    // The browser's own reconnect is refused; the request by fetch is answered with the queue.
    else if (busy && requests === 2) res.writeHead(503).end(() => (busy = false))
    else
      stream(
        res,
        [2, 3, 4]
          .filter((n) => n > Number(after))
          .map((n) => `id: ${n}\ndata: ${n},\n\n`)
          .join(''),
      )
  })
  await listen(tab, site, '/sse', { retry: { initialDelay: 10 } })
  await expect.poll(() => content(tab)).toBe('1,2,3,4,')
  expect(await events(tab)).toHaveLength(4)
  expect(site.to('/sse')).toHaveLength(4)
})

test('a stream without ids that was open is not asked about: the response could cost events', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => {
    if (site.to('/sse').length === 1) stream(res, 'data: a\n\n').end()
    else res.writeHead(404).end()
  })
  await listen(tab, site, '/sse', { retry: { initialDelay: 60_000 } })
  await expect.poll(() => reason(tab)).toBe('refused')
  expect(await tab.evaluate(() => window.harness.stream.status.value)).toBe('reconnecting')
  expect(site.to('/sse')).toHaveLength(2)
})

for (const allowed of [true, false]) {
  test(`a 404 of another origin ${allowed ? 'with' : 'without'} CORS`, async ({ tab, site }) => {
    site.route('/sse', (req, res) =>
      res.writeHead(404, allowed ? { 'Access-Control-Allow-Origin': String(req.headers.origin) } : {}).end(),
    )
    const other = site.url.replace('127.0.0.1', 'localhost')
    await listen(tab, site, `${other}/sse`, { retry: { initialDelay: 60_000 } })
    await status(tab).toBe(allowed ? 'failed' : 'reconnecting')
    expect(await reason(tab)).toBe(allowed ? 'http' : 'refused')
    // No preflight: no header needs one.
    expect(new Set(site.to('/sse').map(({ method }) => method))).toEqual(new Set(['GET']))
  })
}

test('asking why is given up after five seconds, for example when six streams are open', async ({ tab, site }) => {
  site.route('/open', (_req, res) => stream(res))
  site.route('/sse', (_req, res) => {
    // The browser opens six connections to a server. Five streams are open; the sixth waits, and takes this one when it is free.
    const sixth = tab.evaluate(() => {
      new EventSource('/open')
    })
    void sixth.then(() => res.writeHead(503).end())
  })
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(() => {
    for (let n = 0; n < 5; n++) new EventSource('/open')
  })
  await expect.poll(() => site.to('/open')).toHaveLength(5)
  await tab.evaluate(() => window.listen('/sse', ['message'], { retry: { initialDelay: 60_000 } }))
  await expect.poll(() => reason(tab), { timeout: 15_000 }).toBe('refused')
  await status(tab).toBe('reconnecting')
  expect([site.to('/open').length, site.to('/sse').length]).toEqual([6, 1])
})

test('the stream survives a transient refusal, and sends the id in the query', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => {
    const attempt = site.to('/sse').length
    if (attempt === 1) stream(res, 'id: é&1\ndata: a\n\n').end()
    else if (attempt === 2) res.writeHead(503).end()
    else stream(res, 'data: b\n\n')
  })
  await listen(tab, site, '/sse?room=a%20b&flag&sig=A~B#top', { retry: { initialDelay: 10 } })
  await expect.poll(() => events(tab)).toEqual(['message:é&1:a', 'message:é&1:b'])
  // The URL itself is unchanged: it may be signed.
  expect(site.to('/sse').at(-1)?.url).toBe('/sse?room=a%20b&flag&sig=A~B&lastEventId=%C3%A9%261')
})

test("a server's events named error and open are messages, and do not change the status", async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'event: error\ndata: a\n\nevent: open\ndata: b\n\ndata: c\n\n'))
  await listen(tab, site, '/sse', { names: ['error', 'open', 'message'] })
  await expect.poll(() => events(tab)).toEqual(['error::a', 'open::b', 'message::c'])
  expect(await statuses(tab)).toEqual(['connecting', 'open'])
  expect(await tab.evaluate(() => window.harness.stream.error.value)).toBeNull()
})

test('an invalid URL fails for good', async ({ tab, site }) => {
  for (const url of ['http://[', 'ftp://127.0.0.1/sse']) {
    await listen(tab, site, url)
    await status(tab).toBe('failed')
    expect(await reason(tab)).toBe('invalid-url')
  }
})

test('the query has an id only if there is one, and credentials are sent', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res))
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(() => {
    const Native = EventSource
    window.EventSource = class extends Native {
      constructor(url: string | URL, init?: EventSourceInit) {
        super(url, init)
        document.title = String(this.withCredentials)
      }
    }
  })
  await tab.evaluate(() => window.listen('/sse', ['message'], { withCredentials: true }))
  await status(tab).toBe('open')
  expect(site.to('/sse')[0]?.url).toBe('/sse')
  expect(await tab.evaluate(() => document.title)).toBe('true')
})
