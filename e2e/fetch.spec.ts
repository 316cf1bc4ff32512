/** What only the fetch transport can do: send headers and bodies, and tell why a server sent no stream. */
import type { RequestListener } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, stream, test } from './fixture'
import { content, events, listen, reason, status, statuses } from './listen'

const kind = 'fetch'

test('headers and body are sent, and requested again for every attempt', async ({ tab, site }) => {
  const requests: string[] = []
  const answer: RequestListener = (req, res) =>
    void text(req).then((body) => {
      requests.push(`${String(req.method)} ${String(req.headers.authorization)} ${body}`)
      if (requests.length < 3) res.writeHead(401).end()
      else stream(res, 'event: close\ndata: bye\n\n')
    })
  site.route('/sse', answer)
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(() => {
    let token = 0
    window.listen('/sse', ['close'], {
      kind: 'fetch',
      fetch: {
        method: 'POST',
        headers: () => Promise.resolve({ Authorization: `Bearer ${++token}` }),
        body: () => `body ${token}`,
      },
      retry: { decide: ({ status: code }) => (code === 401 ? 10 : false) },
    })
  })
  await status(tab).toBe('closed')
  expect(requests).toEqual([1, 2, 3].map((n) => `POST Bearer ${n} body ${n}`))
})

test('an event stream is requested, uncached, without a header that would need a preflight', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res))
  await listen(tab, site, '/sse', { kind })
  await status(tab).toBe('open')
  expect(site.to('/sse')[0]?.headers).toMatchObject({ accept: 'text/event-stream', 'cache-control': 'no-cache' })
})

test('204 is the end, not an error', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => res.writeHead(204).end())
  await listen(tab, site, '/sse', { kind })
  await status(tab).toBe('closed')
  expect(await statuses(tab)).toEqual(['connecting', 'closed no-content'])
  expect(site.to('/sse')).toHaveLength(1)
})

for (const code of [400, 401, 403, 404, 410]) {
  test(`${code} is final, and says why`, async ({ tab, site }) => {
    site.route('/sse', (_req, res) => res.writeHead(code, { 'X-Why': 'because' }).end('{"error":"no"}'))
    await listen(tab, site, '/sse', { kind })
    await status(tab).toBe('failed')
    expect(await reason(tab)).toBe('http')
    const error = await tab.evaluate(() => {
      const { value } = window.harness.stream.error
      return [value?.kind, value?.status, value?.body, value?.headers?.get('X-Why')]
    })
    expect(error).toEqual(['http', code, '{"error":"no"}', 'because'])
    expect(site.to('/sse')).toHaveLength(1)
  })
}

for (const code of [408, 425, 429, 500, 503]) {
  test(`${code} is transient`, async ({ tab, site }) => {
    site.route('/sse', (_req, res) => {
      if (site.to('/sse').length < 3) res.writeHead(code).end()
      else stream(res, 'data: a\n\n')
    })
    await listen(tab, site, '/sse', { kind, retry: { initialDelay: 10 } })
    await expect.poll(() => content(tab)).toBe('a')
    expect(await statuses(tab)).toEqual(['connecting', 'reconnecting http', 'open'])
  })
}

test('Retry-After is honoured, in seconds and as a date', async ({ tab, site }) => {
  const due = Date.now() + 3_600_000
  for (const [value, least] of [
    ['3600', 3_590_000],
    [new Date(due).toUTCString(), 3_500_000],
  ] as const) {
    site.route('/sse', (_req, res) => res.writeHead(503, { 'Retry-After': value }).end())
    await listen(tab, site, '/sse', { kind })
    await status(tab).toBe('reconnecting')
    const wait = await tab.evaluate(() => (window.harness.stream.retryAt.value ?? 0) - Date.now())
    expect(wait).toBeGreaterThan(least)
    // And up to a fifth more, so that clients do not all return at once.
    expect(wait).toBeLessThanOrEqual(1.2 * 3_600_000)
  }
})

test('another content type is final, and says which', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => res.writeHead(200, { 'Content-Type': 'text/html' }).end('<h1>Log in</h1>'))
  await listen(tab, site, '/sse', { kind })
  await status(tab).toBe('failed')
  expect(await reason(tab)).toBe('content-type')
  expect(await tab.evaluate(() => window.harness.stream.error.value?.body)).toBe('<h1>Log in</h1>')
})

test('an endless error page does not hold back the error', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => res.writeHead(404).write('not '))
  await listen(tab, site, '/sse', { kind })
  await status(tab).toBe('failed')
  expect(await tab.evaluate(() => window.harness.stream.error.value?.body)).toBe('not ')
})

test('a charset that is not UTF-8 is ignored', async ({ tab, site }) => {
  site.route('/sse', (_req, res) =>
    res.writeHead(200, { 'Content-Type': 'text/event-stream;charset=windows-1252' }).write('data: é\n\n'),
  )
  await listen(tab, site, '/sse', { kind })
  await expect.poll(() => content(tab)).toBe('é')
})

test('a POST is not repeated automatically', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'data: a\n\n').end())
  await listen(tab, site, '/sse', {
    kind,
    fetch: { method: 'POST', eof: 'reconnect' },
    retry: { initialDelay: 10 },
  })
  await status(tab).toBe('failed')
  expect(await content(tab)).toBe('a')
  expect(site.to('/sse')).toHaveLength(1)
})

test('the end of the response to a POST is the end', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'data: a\n\n').end())
  await listen(tab, site, '/sse', { kind, fetch: { method: 'POST' } })
  await status(tab).toBe('closed')
  expect([await reason(tab), await content(tab)]).toEqual(['ended', 'a'])
  expect(site.to('/sse')).toHaveLength(1)
})

test('a fetch that drops the signal leaves nothing open after stop', async ({ tab, site, engineName }) => {
  let open = 0
  site.route('/sse', (_req, res) => {
    open++
    // Firefox ends a response with a cancelled body only when the next bytes arrive: here the heartbeat.
    const timer = setInterval(() => engineName === 'firefox' && res.write(':\n\n'), 500)
    stream(res, 'data: a\n\n').on('close', () => {
      clearInterval(timer)
      open--
    })
  })
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(() =>
    window.listen('/sse', ['message'], {
      kind: 'fetch',
      fetch: { fetch: (input, init) => fetch(input, { ...init, signal: new AbortController().signal }) },
    }),
  )
  await status(tab).toBe('open')
  await tab.evaluate(() => window.harness.stream.stop())
  await expect.poll(() => open).toBe(0)
})

test('a stop between an id and its event loses nothing, however refs are flushed', async ({ tab, site }) => {
  site.route('/sse', (req, res) => {
    const after = Number(req.headers['last-event-id'] ?? 0)
    stream(res, after < 1 ? 'id: 1\ndata: 1,\n\nid: 2\ndata: 2,\n\n' : after < 2 ? 'id: 2\ndata: 2,\n\n' : '')
  })
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(() => {
    window.listen('/sse', ['message'], { kind: 'fetch', flush: 'sync' })
    // A tab that stops as soon as it sees an id.
    const timer = setInterval(() => {
      const { stream } = window.harness
      if (stream.status.value === 'closed') stream.start()
      if (stream.content.value.endsWith('2,')) clearInterval(timer)
    }, 10)
    window.watchId((id) => id !== '' && window.harness.stream.stop())
  })
  await expect.poll(() => content(tab)).toBe('1,2,')
})

test('the end of the response can be the end of the stream', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'data: a\n\ndata: dropped').end())
  await listen(tab, site, '/sse', { kind, fetch: { eof: 'close' } })
  await status(tab).toBe('closed')
  expect(await reason(tab)).toBe('ended')
  expect(await events(tab)).toEqual(['message::a'])
})

test('an event that nobody listens to costs nothing', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res, 'event: other\ndata: x\n\ndata: a\n\n'))
  await listen(tab, site, '/sse', { kind })
  await expect.poll(() => content(tab)).toBe('a')
  expect(await events(tab)).toEqual(['message::a'])
})

test('comments keep a connection alive', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => {
    stream(res)
    const timer = setInterval(() => res.write(':\n\n'), 100)
    res.on('close', () => clearInterval(timer))
  })
  await listen(tab, site, '/sse', { kind, idleTimeout: 2_000 })
  await status(tab).toBe('open')
  await sleep(3_000)
  expect(await statuses(tab)).toEqual(['connecting', 'open'])
})

test('a cross-origin server without CORS is a network error', async ({ tab, site }) => {
  site.route('/sse', (_req, res) => stream(res))
  const other = site.url.replace('127.0.0.1', 'localhost')
  await listen(tab, site, `${other}/sse`, { kind, retry: false })
  await status(tab).toBe('failed')
  expect(await reason(tab)).toBe('network')
})
