import express, { Router } from 'express'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths } from '../shared/demos/channel'
import { comparisonPaths } from '../shared/demos/comparison'
import { emitterLogPath, emitterPath } from '../shared/demos/emitter'
import { timestampsPath } from '../shared/demos/timestamps'
import { wirePath } from '../shared/demos/wire'
import { createApp, type AppOptions } from './app'
import { errors } from './errors'
import { refuseOtherMethods } from './methods'
import type { Page } from './page'
import { Hub } from './sse/hub'
import { MemoryEventLog } from './sse/memoryEventLog'
import { Streams } from './sse/streams'
import { Client, request, serve } from './testing'

/** Serves the application, and returns its streams and functions to send requests. */
async function app({ streams = new Streams(), ...options }: Partial<AppOptions> = {}) {
  const log = new MemoryEventLog()
  onTestFinished(() => log.close())
  const timestamps = { count: 3, interval: 60_000 }
  const port = await serve(createApp({ streams, hub: new Hub(log), timestamps, ...options }).request)
  const ask = (path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, init)
  return { streams, port, ask }
}

const pageOf = (handler: Page['handler'], live = false): Page => ({
  handler,
  live,
  close: () => Promise.resolve(),
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe('the security headers', () => {
  it('come with every response, even with a stream or an error', async () => {
    const { ask } = await app()
    for (const path of ['/healthz', '/sse', '/nowhere']) {
      const { headers, body } = await ask(path)
      await body?.cancel()
      expect(Object.fromEntries(headers)).toMatchObject({
        'content-security-policy':
          "default-src 'self';style-src 'self';img-src 'self' data:;object-src 'none';base-uri 'none';" +
          "form-action 'self';frame-ancestors 'none'",
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      })
    }
  })

  it('do not name the server software, require TLS, or open the API to other origins', async () => {
    const { ask } = await app()
    const { headers } = await ask('/healthz', { headers: { Origin: 'https://elsewhere.example' } })
    for (const name of ['x-powered-by', 'server', 'strict-transport-security', 'access-control-allow-origin']) {
      expect(headers.has(name), name).toBe(false)
    }
    expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests')
  })

  it('allow inline styles, but never inline scripts, for a live page', async () => {
    const { ask } = await app({ page: pageOf((_req, res) => void res.send('page'), true) })
    const policy = (await ask('/')).headers.get('content-security-policy')
    expect(policy).toContain("style-src 'self' 'unsafe-inline';")
    expect(policy?.split('unsafe-inline')).toHaveLength(2)
  })
})

describe('GET /healthz', () => {
  it('counts the streams that are open now', async () => {
    const { ask, streams, port } = await app()
    const uptime = expect.any(Number) as number
    const health = async (): Promise<unknown> => (await ask('/healthz')).json()
    expect(await health()).toEqual({ status: 'ok', streams: 0, channels: 0, uptime })

    const clients = [new Client(port, request('GET', '/sse')), new Client(port, request('GET', '/sse'))]
    for (const client of clients) await client.until(/data: /)
    expect(await health()).toMatchObject({ streams: 2 })

    clients[0]?.socket.destroy()
    await vi.waitFor(() => expect(streams.size).toBe(1))
    expect(await health()).toMatchObject({ streams: 1 })
  })
})

describe('GET /readyz', () => {
  it('says whether new streams are welcome, and why they are not', async () => {
    const { ask, streams, port } = await app({ streams: new Streams({ total: 1 }) })
    const ready = async (): Promise<unknown[]> => {
      const answer = await ask('/readyz')
      return [answer.status, answer.headers.get('retry-after'), (await answer.json()) as unknown]
    }
    expect(await ready()).toEqual([200, null, { status: 'ready' }])

    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const client = new Client(port, request('GET', '/sse'))
    await client.until(/data: /)
    const full = { error: { code: 'capacity-total', message: '1 streams are open: try again later.' } }
    expect(await ready()).toEqual([503, '30', full])
    expect((await ask('/healthz')).status).toBe(200)

    client.socket.destroy()
    await vi.waitFor(async () => expect(await ready()).toEqual([200, null, { status: 'ready' }]))
    await streams.end(0)
    expect(await ready()).toMatchObject([503, '5', { error: { code: 'capacity-shutdown' } }])
  })
})

describe('a refusal that only the operator can change', () => {
  it.each([
    ['MAX_STREAMS', '/sse', { streams: new Streams({ total: 0 }) }],
    ['MAX_STREAMS_PER_ADDRESS', '/sse', { streams: new Streams({ perAddress: 0 }) }],
    ['MAX_EVENT_BYTES', '/sse/push?id=a&content=xx', { maxEventBytes: 1 }],
    ['MAX_CHANNELS_PER_ADDRESS', '/sse/push?id=a&content=x', { channelsPerAddress: 0 }],
    ['PUSHES_PER_MINUTE', '/sse/push?id=a&content=x', { pushesPerMinute: 0 }],
  ])('goes to the log, once, and not to the client: %s', async (setting, path, options) => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const { ask } = await app(options)
    for (let n = 0; n < 2; n++) expect(await (await ask(path)).text()).not.toMatch(/[A-Z]+_[A-Z]+/)
    expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(new RegExp(`^${setting}: `)))
  })
})

describe('an unknown path', () => {
  const json = { error: { code: 'not-found', message: 'There is nothing at /nowhere/at%20all.' } }

  it.each(['*/*', 'application/json', 'text/html', 'text/event-stream'])(
    'is a JSON 404 without a page, also for a client that accepts %s',
    async (Accept) => {
      const answer = await (await app()).ask('/nowhere/at%20all?secret=1', { headers: { Accept } })
      expect(answer.status).toBe(404)
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
      expect(await answer.json()).toEqual(json)
    },
  )

  it.each(['POST', 'PUT', 'DELETE'])('is a JSON 404 for %s too', async (method) => {
    const { ask, streams } = await app()
    expect((await ask('/nowhere', { method })).status).toBe(404)
    expect(streams.size).toBe(0)
  })

  it('is unknown to the page too', async () => {
    const { ask } = await app({ page: pageOf(express.static(import.meta.dirname)) })
    expect((await ask('/settings.ts')).status).toBe(200)
    expect((await ask('/nowhere')).status).toBe(404)
  })
})

describe('a method that a path does not have', () => {
  const page = pageOf(Router().get(['/', '/channel'], (_req, res) => void res.send('page')))
  const paths = [
    ...['/healthz', '/readyz', '/metrics', '/', '/channel'],
    ...[timestampsPath, wirePath, emitterPath, emitterLogPath, byHandPaths.subscribe, channelPaths.subscribe],
    ...[comparisonPaths.figures, comparisonPaths.shortPolling, comparisonPaths.longPolling, comparisonPaths.sse],
  ]

  it.each(paths)('is a 405 with the allowed methods: %s', async (path) => {
    const { ask } = await app({ page })
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const answer = await ask(path, { method, headers: { Accept: 'text/html' } })
      expect([answer.status, answer.headers.get('allow')], method).toEqual([405, 'GET, HEAD'])
      expect(await answer.json()).toEqual({ error: { code: 'method', message: 'Use GET or HEAD.' } })
    }
  })

  it('is missing from all routes of the path, in any number of routers', async () => {
    const refusals = Router()
    const routes = Router()
      .use(Router().post('/a', () => undefined))
      .get('/a', () => undefined)
      .delete('/a/:id', () => undefined)
      .all('/b', (_req, res) => void res.send('b'))
    refuseOtherMethods(refusals, routes)
    const port = await serve(
      express()
        .use(routes, refusals)
        .use(errors(() => undefined)),
    )
    const put = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`, { method: 'PUT' })
    expect((await put('/a')).headers.get('allow')).toBe('POST, GET, HEAD')
    expect((await put('/a/1')).headers.get('allow')).toBe('DELETE')
    expect((await put('/b')).status).toBe(200)
    expect((await put('/c')).status).toBe(404)
  })
})

describe('an error', () => {
  const json = (received: string): unknown => JSON.parse(received.slice(received.indexOf('\r\n\r\n')))

  it.each(['/%', '/%E0%A4%A', '/%ff'])('is a JSON 400, without a stack, for the malformed path %s', async (path) => {
    const reported = vi.spyOn(console, 'error')
    const { port } = await app({ page: pageOf(Router().get('/:name', (_req, res) => void res.send('page'))) })
    const received = await new Client(port, request('GET', path, { Connection: 'close' })).toEnd()
    expect(received).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(received).toContain('\r\nContent-Type: application/json; charset=utf-8\r\n')
    const message = `The request cannot be read: Failed to decode param '${path.slice(1)}'.`
    expect(json(received)).toEqual({ error: { code: 'request', message } })
    expect(reported).not.toHaveBeenCalled()
  })

  it.each(['/%', '/%E0%A4%A', '/sse/%', '/assets/%', '//', '/\\..\\', '/..%2f..%2fpackage.json'])(
    'is a JSON 404, without a stack, for the path %s, of which nothing is decoded',
    async (path) => {
      const { port } = await app({ page: pageOf(express.static(import.meta.dirname)) })
      const received = await new Client(port, request('GET', path, { Connection: 'close' })).toEnd()
      expect(received).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/)
      expect(json(received)).toMatchObject({ error: { code: 'not-found' } })
      expect(received).not.toMatch(/node_modules|\.ts:\d+/)
    },
  )

  it('is a JSON 400, without a stack, for a body that cannot be parsed', async () => {
    const { ask } = await app()
    const headers = { 'Content-Type': 'application/json' }
    const answer = await ask('/sse/push', { method: 'POST', headers, body: '{"id":' })
    expect(answer.status).toBe(400)
    const text = await answer.text()
    expect(JSON.parse(text)).toMatchObject({ error: { code: 'body' } })
    expect(text).not.toMatch(/node_modules|\.js:\d+/)
  })

  it.each([
    new Error('password 123'),
    'password 123',
    Object.assign(new Error('password 123'), { status: 501 }),
    { status: 400, message: 'password 123' },
  ])('that is a bug (%s) goes to the console, and to the client as a JSON 500 that does not tell it', async (error) => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const page = pageOf((_req, _res, next) => next(error))
    const answer = await (await app({ page })).ask('/?content=secret')
    expect(answer.status).toBe(500)
    expect(await answer.text()).toBe(
      '{"error":{"code":"internal","message":"The server failed to answer. The reason is in its log."}}',
    )
    expect(reported).toHaveBeenCalledExactlyOnceWith('GET / failed:', error)
  })

  it('in the middle of a response cuts it off without adding to it', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const error = new Error('password 123')
    const page = pageOf((_req, res, next) => {
      res.write('half of it', () => next(error))
    })
    const { port } = await app({ page })
    const received = await new Client(port, request('GET')).toEnd()
    expect(received).toMatch(/\r\n\r\na\r\nhalf of it\r\n$/)
    expect(reported).toHaveBeenCalledExactlyOnceWith('GET / failed:', error)
  })
})

describe('a stream that cannot be opened', () => {
  it.each([
    ['total', { total: 1 }, '1 streams are open: try again later.'],
    ['address', { perAddress: 1 }, '1 streams are open from your address: close one, or wait.'],
  ])('is a JSON 503 with Retry-After at the limit (%s)', async (kind, limits, message) => {
    const { ask, port } = await app({ streams: new Streams(limits) })
    await new Client(port, request('GET', '/sse')).until(/data: /)

    const answer = await ask('/sse')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('30')
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(await answer.json()).toEqual({ error: { code: `capacity-${kind}`, message } })
  })

  it('because it was pipelined behind another is not counted, and the other one is fine', async () => {
    const { port, streams } = await app()
    const client = new Client(port, request('GET', '/sse').repeat(2))
    await client.until(/data: /)
    expect(streams.size).toBe(1)

    // A stream is the last response of its connection: the client asks again on another.
    await streams.end(0)
    expect(await client.toEnd()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close[^]*retry: \d+\n\n\r\n0\r\n\r\n$/)
  })
})
