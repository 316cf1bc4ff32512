import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { Server as NetServer } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { comparisonPaths as paths, type ComparisonEvent, type ComparisonFigures } from '../../shared/demos/comparison'
import { Client, eventsOf, request } from '../testing'
import { errorOf, replyOf, startApp, streamOf, type Headers, type TestApp, type TestAppOptions } from '../testingApp'

vi.setConfig({ testTimeout: 60_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 50_000, interval: 10 })

/** A run, and functions to send requests for it. */
async function start(options: TestAppOptions = {}, params = 'interval=10&bytes=8', run = newName()) {
  const app = await startApp(options)
  const of = (path: string, more = ''): string => `${path}?run=${run}&${more}`
  const reply = await app.ask('POST', of(paths.run, params))
  expect(reply.status).toBe(200)
  return {
    app,
    run,
    of,
    change: (more: string) => app.ask('POST', of(paths.run, more)),
    figures: async (after = 0): Promise<ComparisonFigures> =>
      (await (await app.fetch(of(paths.figures, `after=${after}`))).json()) as ComparisonFigures,
    poll: async (path: string, more = ''): Promise<ComparisonEvent[]> =>
      JSON.parse((await app.ask('GET', of(path, more))).body) as ComparisonEvent[],
    until: async (n: number): Promise<void> => {
      await eventually(async () => {
        const { newest } = (await (await app.fetch(of(paths.figures))).json()) as ComparisonFigures
        expect(newest).toBeGreaterThanOrEqual(n)
      })
    },
  }
}

const newName = (): string => randomBytes(16).toString('hex')
const numbers = (events: ComparisonEvent[]): number[] => events.map(({ n }) => n)
const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, n) => first + n)

/** The numbers of the events in a stream so far. */
const streamed = (client: Client): number[] =>
  eventsOf(streamOf(client)).flatMap(({ id, data }) => {
    if (id === undefined) return []
    expect((JSON.parse(data ?? '') as ComparisonEvent).n).toBe(Number(id))
    return [Number(id)]
  })

/** A WebSocket, the numbers it received, and how it ended. */
function connect(app: TestApp, path: string, headers: Headers = {}) {
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}${path}`, { headers, perMessageDeflate: false })
  const got: number[] = []
  socket.on('message', (text: Buffer) => got.push((JSON.parse(text.toString()) as ComparisonEvent).n))
  socket.on('error', () => undefined)
  const refused = new Promise<number>((resolve) =>
    socket.once('unexpected-response', (_req, res) => resolve(res.statusCode ?? 0)),
  )
  const closed = new Promise<number>((resolve) => socket.once('close', (code) => resolve(code)))
  return { socket, got, refused, closed }
}

const handshake = (path: string, headers: Headers = {}, method = 'GET'): string =>
  request(method, path, {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...headers,
  })

describe('a run', () => {
  it('creates numbered events with their time and a payload of the requested size', async () => {
    const { until, poll } = await start({}, 'interval=10&bytes=20')
    const before = Date.now()
    await until(3)
    const events = await poll(paths.shortPolling, 'after=0')
    expect(numbers(events)).toEqual(upTo(1, events.length))
    for (const { time, payload } of events) {
      expect(payload).toHaveLength(20)
      expect(Math.abs(time - before)).toBeLessThan(60_000)
    }
  })

  it('changes its rate and its payload while it runs', async () => {
    const { until, poll, change } = await start({}, 'interval=2000&bytes=0')
    expect((await change('interval=10&bytes=4096')).status).toBe(200)
    await until(2)
    const [first] = await poll(paths.shortPolling, 'after=0')
    expect(first?.payload).toHaveLength(4_096)
  })

  it('ends when it is stopped, together with everything that waits for it', async () => {
    const { app, of } = await start({}, 'interval=2000&webhook=true')
    const stream = app.open(of(paths.sse))
    const held = app.ask('GET', of(paths.longPolling))
    const socket = connect(app, of(paths.webSocket))
    await eventually(() => expect(app.streams.size).toBe(3))

    expect((await app.ask('POST', of(paths.stop))).status).toBe(200)
    expect(await stream.toEnd()).toContain('event: close')
    expect((await held).body).toBe('[]')
    expect(await socket.closed).toBe(1001)
    await eventually(() => expect(app.streams.size).toBe(0))
    expect(errorOf(await app.ask('GET', of(paths.figures)))).toMatchObject({ status: 404, code: 'no-run' })
  })

  it('ends some time after its last use, but not while it has listeners', async () => {
    const { app, of } = await start({ comparison: { idle: 100 } })
    const stream = app.open(of(paths.sse))
    await eventually(() => expect(streamed(stream).length).toBeGreaterThan(30))
    stream.socket.destroy()
    await eventually(() => expect(app.streams.size).toBe(0))
    // A request would count as use.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(errorOf(await app.ask('GET', of(paths.figures))).code).toBe('no-run')
  })

  it('is refused if there are too many', async () => {
    const { app, change } = await start({ comparison: { maxRuns: 1 } })
    const reply = await app.ask('POST', `${paths.run}?run=${newName()}`)
    expect(errorOf(reply)).toMatchObject({ status: 503, code: 'capacity-runs' })
    expect(reply.headers['retry-after']).toBe('30')
    expect((await change('interval=20')).status).toBe(200)
  })

  it('is refused if one address has too many, until one of them ends', async () => {
    const { app, of } = await start()
    for (let n = 1; n < 10; n++) expect((await app.ask('POST', `${paths.run}?run=${newName()}`)).status).toBe(200)
    const next = `${paths.run}?run=${newName()}`
    expect(errorOf(await app.ask('POST', next))).toMatchObject({ status: 503, code: 'capacity-address' })
    await app.ask('POST', of(paths.stop))
    expect((await app.ask('POST', next)).status).toBe(200)
  })

  it('is not started while the server shuts down', async () => {
    const { app, change } = await start()
    await app.streams.end(0)
    expect(errorOf(await change('interval=20'))).toMatchObject({ status: 503, code: 'capacity-shutdown' })
  })

  it.each([
    ['run=short', 'run'],
    [`run=${'a'.repeat(65)}`, 'run'],
    ['run=%23hashtag-is-not-a-name', 'run'],
    ['', 'run'],
    ['interval=9', 'interval'],
    ['interval=2001', 'interval'],
    ['interval=1.5', 'interval'],
    ['bytes=-1', 'bytes'],
    ['bytes=4097', 'bytes'],
    ['bytes=1&bytes=2', 'bytes'],
    ['webhook=on', 'webhook'],
  ])('is refused with %s, and told why', async (query, code) => {
    const app = await startApp()
    const name = query === '' || query.startsWith('run=') ? '' : `run=${newName()}&`
    const error = errorOf(await app.ask('POST', `${paths.run}?${name}${query}`))
    expect(error).toMatchObject({ status: 400, code })
    expect(error.message).toContain(code)
  })

  it.each([
    [paths.shortPolling, 'after=x'],
    [paths.longPolling, 'after=-1'],
    [paths.figures, 'after=1.5'],
  ])('answers 400 to %s?%s', async (path, query) => {
    const { app, of } = await start()
    expect(errorOf(await app.ask('GET', of(path, query)))).toMatchObject({ status: 400, code: 'after' })
  })

  it.each(Object.values(paths).filter((path) => path !== paths.run))('is needed by %s', async (path) => {
    const app = await startApp()
    const error = errorOf(await app.ask('GET', `${path}?run=${newName()}`))
    expect(error).toMatchObject({ status: 404, code: 'no-run' })
    expect(app.streams.size).toBe(0)
  })

  it.each([paths.run, paths.cut, paths.stop])('is not changed by pages of other sites: %s', async (path) => {
    const { app, of } = await start()
    const reply = await app.ask('POST', of(path), { 'Sec-Fetch-Site': 'cross-site' })
    expect(errorOf(reply).status).toBe(403)
  })
})

describe('polling', () => {
  it('returns the events after the client’s number, or the newest without a number', async () => {
    const { until, poll } = await start()
    await until(5)
    const [first, ...more] = await poll(paths.shortPolling, 'after=3')
    expect(first?.n).toBe(4)
    expect(numbers(more)).toEqual(upTo(5, 4 + more.length))
    expect(await poll(paths.shortPolling)).toHaveLength(1)
  })

  it('short gets an empty response if there are no events', async () => {
    const { poll, figures } = await start({}, 'interval=2000')
    expect(await poll(paths.shortPolling)).toEqual([])
    expect((await figures()).techniques.shortPolling).toMatchObject({ requests: 1, empty: 1, events: 0, eventBytes: 0 })
  })

  it('long is answered when there is an event', async () => {
    const { poll, figures } = await start({}, 'interval=300&bytes=8')
    const events = await poll(paths.longPolling)
    expect(events).toHaveLength(1)
    expect((await figures()).techniques.longPolling).toMatchObject({ requests: 1, empty: 0, events: 1 })
  })

  it('long gets an empty response after its time, and is forgotten when the client leaves', async () => {
    const { poll, figures } = await start({ comparison: { hold: 30 } }, 'interval=2000')
    expect(await poll(paths.longPolling)).toEqual([])
    expect((await figures()).techniques.longPolling).toMatchObject({ requests: 1, empty: 1 })

    const patient = await start({}, 'interval=2000')
    const client = patient.app.open(patient.of(paths.longPolling))
    await eventually(() => expect(patient.app.streams.size).toBe(1))
    client.socket.destroy()
    await eventually(() => expect(patient.app.streams.size).toBe(0))
  })

  it('is refused if pipelined, because it would hold its run forever', async () => {
    const { app, of } = await start({ comparison: { idle: 200 } })
    const poll = request('GET', of(paths.longPolling, 'after=999999'))
    const client = new Client(app.port, poll + poll + poll)
    await eventually(() => expect(app.streams.size).toBe(1))
    expect((await app.ask('GET', of(paths.figures))).body).toContain('"longPolling":{"requests":1,')
    client.socket.destroy()
    await eventually(() => expect(app.streams.size).toBe(0))
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(errorOf(await app.ask('GET', of(paths.figures))).code).toBe('no-run')
  })

  it('misses events that are no longer stored', async () => {
    const { until, poll } = await start({}, 'interval=10&bytes=4096')
    await until(520)
    const events = await poll(paths.shortPolling, 'after=1')
    expect(events[0]?.n).toBeGreaterThan(2)
    expect(numbers(events)).toEqual(upTo(events[0]?.n ?? 0, events.at(-1)?.n ?? 0))
  })
})

describe('the stream', () => {
  it('resumes after the last id, preferring the header to the query', async () => {
    const { app, of, until } = await start()
    await until(10)
    const stream = app.open(of(paths.sse, 'lastEventId=8'), { 'Last-Event-ID': '3' })
    await eventually(() => expect(streamed(stream).length).toBeGreaterThan(10))
    expect(streamed(stream).slice(0, 10)).toEqual(upTo(4, 13))
    const other = app.open(of(paths.sse, 'lastEventId=8'))
    await eventually(() => expect(streamed(other).length).toBeGreaterThan(2))
    expect(streamed(other)[0]).toBe(9)
  })

  it.each(['', 'x', '-1', '1:2', '9'.repeat(400)])('starts with new events after the invalid id "%s"', async (id) => {
    const { app, of, until } = await start()
    await until(5)
    const stream = app.open(of(paths.sse), { 'Last-Event-ID': id })
    await eventually(() => expect(streamed(stream).length).toBeGreaterThan(1))
    expect(streamed(stream)[0]).toBeGreaterThan(5)
  })

  it('waits for a client that does not read, and skips nothing', async () => {
    const { app, of, figures, until } = await start({}, 'interval=10&bytes=4096')
    const stream = app.open(of(paths.sse))
    await stream.until(/id: /)
    stream.socket.pause()
    await until(100)
    stream.socket.resume()
    await eventually(() => expect(streamed(stream).length).toBeGreaterThan(100))
    const got = streamed(stream)
    expect(got).toEqual(upTo(got[0] ?? 0, got.at(-1) ?? 0))
    expect((await figures()).techniques.sse.requests).toBe(1)
  })
})

describe('the WebSocket', () => {
  it('delivers new events, and frees its place when it closes', async () => {
    const { app, of, until } = await start()
    await until(5)
    const { socket, got, closed } = connect(app, of(paths.webSocket))
    await eventually(() => expect(got.length).toBeGreaterThan(5))
    expect(got[0]).toBeGreaterThan(5)
    expect(got).toEqual(upTo(got[0] ?? 0, got.at(-1) ?? 0))
    expect(app.streams.size).toBe(1)
    socket.close()
    await closed
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it('is closed when its client falls silent', async () => {
    const { app, of } = await start({ comparison: { heartbeat: 50 } })
    const client = new Client(app.port, handshake(of(paths.webSocket)))
    await client.until(/ 101 /)
    await client.toEnd()
    await eventually(() => expect(app.streams.size).toBe(0))
    const { got } = connect(app, of(paths.webSocket))
    await eventually(() => expect(got.length).toBeGreaterThan(30))
  })

  it('is closed when its client does not read', async () => {
    const { app, of } = await start({ comparison: { heartbeat: 600_000 } }, 'interval=10&bytes=4096')
    const client = new Client(app.port, handshake(of(paths.webSocket)))
    client.socket.pause()
    await eventually(() => expect(app.streams.size).toBe(1))
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it('is closed when its client sends too much', async () => {
    const { app, of } = await start()
    const { socket, closed } = connect(app, of(paths.webSocket))
    socket.once('open', () => socket.send('x'.repeat(2_000)))
    expect(await closed).toBe(1009)
  })

  it.each([
    ['of this server', (port: number) => `http://127.0.0.1:${port}`, 101],
    ['of another site', () => 'https://elsewhere.example', 403],
    ['of another port', () => 'http://127.0.0.1:1', 403],
    ['of a sandboxed page', () => 'null', 403],
  ])('asked for by a page %s', async (_who, origin, status) => {
    const { app, of } = await start()
    const client = new Client(
      app.port,
      handshake(of(paths.webSocket), { Host: `127.0.0.1:${app.port}`, Origin: origin(app.port) }),
    )
    expect(await client.until(/\r\n\r\n/)).toContain(`HTTP/1.1 ${status} `)
    if (status === 403) {
      expect(errorOf(replyOf(await client.toEnd()))).toMatchObject({ status: 403, code: 'cross-site' })
      expect(app.streams.size).toBe(0)
    }
  })

  it('is refused without a run, at the limit of streams, under a wrong Host, and without an upgrade, each with its error', async () => {
    const { app, of } = await start({ limits: { total: 1 } })
    const refusal = async (text: string) => errorOf(replyOf(await new Client(app.port, text).toEnd()))
    expect(await refusal(handshake(`${paths.webSocket}?run=${newName()}`))).toMatchObject({ code: 'no-run' })
    expect(await refusal(handshake(of(paths.webSocket), { Host: 'elsewhere.example' }))).toMatchObject({ status: 421 })
    expect(errorOf(await app.ask('GET', of(paths.webSocket)))).toMatchObject({ status: 426, code: 'upgrade' })
    const { got } = connect(app, of(paths.webSocket))
    await eventually(() => expect(got.length).toBeGreaterThan(0))
    expect(await refusal(handshake(of(paths.webSocket)))).toMatchObject({ status: 503, code: 'capacity-total' })
    expect(app.streams.size).toBe(1)
  })

  it.each(['/', '/healthz', 'a stream'])('pipelined behind a response of %s does no harm to it', async (first) => {
    const { app, of } = await start()
    const before = request('GET', first === 'a stream' ? of(paths.sse) : first)
    const client = new Client(
      app.port,
      before + request('GET', of(paths.webSocket), { Connection: 'Upgrade', Upgrade: 'websocket' }),
    )
    await client.toEnd()
    expect((await app.ask('GET', '/healthz')).status).toBe(200)
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it('is refused without its key', async () => {
    const { app, of } = await start()
    const client = new Client(app.port, handshake(of(paths.webSocket), { 'Sec-WebSocket-Key': '' }))
    expect(await client.toEnd()).toContain('HTTP/1.1 400 ')
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it.each([
    ['GET', '/'],
    ['GET', '/healthz'],
    ['GET', '/sse'],
    ['GET', paths.shortPolling],
    ['POST', '/sse/push'],
    ['POST', paths.webSocket],
  ])('is not at %s %s', async (method, path) => {
    const app = await startApp()
    const client = new Client(app.port, handshake(path, { 'Content-Length': method === 'POST' ? '4' : '0' }, method))
    expect(errorOf(replyOf(await client.toEnd()))).toMatchObject({ status: 404, code: 'not-found' })
    expect(app.streams.size).toBe(0)
  })
})

describe('a request that asks for another protocol than WebSocket', () => {
  const H2C = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAoAAA' }

  it('is answered like any other', async () => {
    const app = await startApp()
    expect((await app.ask('GET', '/healthz', H2C)).body).toContain('"ok"')
  })

  it('is read to the end of its body', async () => {
    const app = await startApp()
    const form = { 'Content-Type': 'application/x-www-form-urlencoded', ...H2C }
    const head = request('POST', '/sse/push', { ...form, 'Content-Length': '17' })
    const client = new Client(app.port, `${head}id=a&cont`)
    await new Promise((resolve) => setTimeout(resolve, 50))
    client.socket.write('ent=news')
    expect(replyOf(await client.toEnd())).toMatchObject({ status: 200, body: 'pushed!\n' })
  })
})

describe('the webhook', () => {
  it('delivers every event once and in order, with its delay, once it is enabled', async () => {
    const { until, change, figures } = await start()
    await until(5)
    await change('interval=10&webhook=true')
    await eventually(async () => expect((await figures()).deliveries.length).toBeGreaterThan(20))
    const { deliveries, techniques } = await figures()
    const got = deliveries.map(([n]) => n)
    expect(got[0]).toBeGreaterThan(5)
    expect(got).toEqual(upTo(got[0] ?? 0, got.at(-1) ?? 0))
    for (const [, delay] of deliveries) expect(delay).toBeGreaterThanOrEqual(0)
    expect(techniques.webhook.requests).toBeGreaterThanOrEqual(got.length)
    expect(techniques.webhook).toMatchObject({ empty: 0 })
    expect((await figures(got.at(-1))).deliveries[0]?.[0] ?? Infinity).toBeGreaterThan(got.at(-1) ?? 0)
  })

  it('retries deliveries that were cut off, and misses nothing', async () => {
    const { app, of, figures } = await start({}, 'interval=10&webhook=true')
    for (let cuts = 0; cuts < 5; cuts++) {
      const { newest } = await figures()
      await app.ask('POST', of(paths.cut))
      await eventually(async () => expect((await figures()).deliveries.at(-1)?.[0] ?? 0).toBeGreaterThan(newest))
    }
    const got = [...new Set((await figures()).deliveries.map(([n]) => n))]
    expect(got).toEqual(upTo(got[0] ?? 0, got.at(-1) ?? 0))
  })

  it('is disabled and enabled again', async () => {
    const { change, figures } = await start({}, 'interval=10&webhook=true')
    await eventually(async () => expect((await figures()).deliveries.length).toBeGreaterThan(3))
    await change('interval=10&webhook=false')
    const { deliveries, newest } = await figures()
    await eventually(async () => expect((await figures()).newest).toBeGreaterThan(newest + 10))
    expect((await figures()).deliveries.length).toBeLessThanOrEqual(deliveries.length + 1)
    await change('interval=10&webhook=true')
    await eventually(async () => expect((await figures()).deliveries.at(-1)?.[0]).toBeGreaterThan(newest + 10))
    const { webhookAfter, deliveries: all } = await figures()
    expect(webhookAfter).toBeGreaterThan(newest)
    expect(all.map(([n]) => n)).toContain(webhookAfter + 1)
    expect(all.map(([n]) => n)).not.toContain(webhookAfter)
  })

  it('can be enabled again after its receiver failed to listen', async () => {
    const { change } = await start()
    const listen = vi.spyOn(NetServer.prototype, 'listen').mockImplementationOnce(function (this: NetServer) {
      process.nextTick(() => this.emit('error', new Error('EMFILE')))
      return this
    })
    const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    expect((await change('webhook=true')).status).toBe(500)
    listen.mockRestore()
    logged.mockRestore()
    expect((await change('webhook=true')).status).toBe(200)
  })

  it('has a receiver that listens only while it is needed, and accepts only deliveries', async () => {
    const listen = vi.spyOn(createServer().constructor.prototype as { listen: () => unknown }, 'listen')
    const { app, of, figures } = await start({}, 'interval=10&webhook=true')
    const receivers = listen.mock.contexts as unknown as Server[]
    const receiver = receivers.find((server) => server !== app.server)
    listen.mockRestore()
    await eventually(async () => expect((await figures()).deliveries.length).toBeGreaterThan(0))
    const port = (receiver?.address() as { port: number }).port
    expect((await fetch(`http://127.0.0.1:${port}/webhooks/guess`, { method: 'POST', body: '{}' })).status).toBe(404)

    await app.ask('POST', of(paths.stop))
    await eventually(() => expect(receiver?.listening).toBe(false))
  })
})

describe('the figures', () => {
  it('are the bytes of each technique’s own connections', async () => {
    const { app, of, poll, figures, until } = await start({}, 'interval=2000&bytes=8')
    const text = request('GET', of(paths.shortPolling, 'after=0'), { Connection: 'close' })
    const reply = await new Client(app.port, text).toEnd()
    await poll(paths.figures)
    const { techniques } = await figures()
    expect(techniques.shortPolling).toMatchObject({ requests: 1, up: text.length, down: reply.length })
    expect(techniques.longPolling).toMatchObject({ requests: 0, up: 0, down: 0 })

    const stream = app.open(of(paths.sse))
    const socket = new Client(app.port, handshake(of(paths.webSocket)))
    await until(1)
    await stream.until(/data: .*\n\n/)
    await socket.until(/"n":/)
    const { sse, webSocket, webhook } = (await figures()).techniques
    expect(sse).toMatchObject({ requests: 1, down: stream.received.length })
    expect(sse.eventBytes).toBe((/data: (.*)\n/.exec(stream.received)?.[1] ?? '').length)
    // A frame of less than 126 bytes has a head of two bytes, the first of which is not text.
    expect(webSocket).toMatchObject({ requests: 1, up: handshake(of(paths.webSocket)).length })
    expect(webSocket.down).toBe(replyHead(socket).length + 4 + 2 * webSocket.events + webSocket.eventBytes)
    expect(webhook).toMatchObject({ requests: 0, up: 0, down: 0 })
  })

  it('are those of the sender for the webhook, in both directions', async () => {
    const { figures } = await start({}, 'interval=10&webhook=true')
    await eventually(async () => expect((await figures()).techniques.webhook.events).toBeGreaterThan(5))
    const { events, eventBytes, up, down } = (await figures()).techniques.webhook
    expect(down).toBeGreaterThan(eventBytes + 100 * events)
    expect(up).toBeGreaterThan(25 * events)
  })
})

describe('a cut', () => {
  it('destroys the connections of its run and no others, and does not end the run', async () => {
    const one = await start()
    const { app } = one
    const name = newName()
    await app.ask('POST', `${paths.run}?run=${name}&interval=10`)
    const others = app.open(`${paths.sse}?run=${name}`)
    await others.until(/id: /)
    const stream = app.open(one.of(paths.sse))
    const socket = connect(app, one.of(paths.webSocket))
    const held = app.open(one.of(paths.longPolling, 'after=999999'))
    const idle = new Client(app.port, request('GET', one.of(paths.shortPolling)))
    await idle.until(/\]/)
    await eventually(() => expect(app.streams.size).toBe(4))

    const reply = await app.ask('POST', one.of(paths.cut))
    expect(JSON.parse(reply.body)).toEqual({ cut: 4 })
    for (const client of [stream, held, idle]) await client.toEnd()
    expect(await socket.closed).toBe(1006)
    await eventually(() => expect(app.streams.size).toBe(1))
    const { newest } = await one.figures()
    await one.until(newest + 3)
    others.socket.destroy()
  })
})

describe('a cut of a run', () => {
  it('spares a connection that has served other requests since', async () => {
    const one = await start()
    const { app } = one
    const client = new Client(app.port, request('GET', one.of(paths.shortPolling)))
    await client.until(/\]/)
    client.socket.write(request('GET', '/sse/subscribe?id=other'))
    await client.until(/连接成功/)
    expect(JSON.parse((await app.ask('POST', one.of(paths.cut))).body)).toEqual({ cut: 0 })
    await app.ask('POST', '/sse/push?id=other&content=still')
    await client.until(/data: still/)
    client.socket.destroy()
  })
})

function replyHead({ received }: Client): string {
  return received.split('\r\n\r\n')[0] ?? ''
}
