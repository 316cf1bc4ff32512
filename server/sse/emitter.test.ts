import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server, type Http2Session } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Client, request, serve } from '../testing'
import { SseEmitter, SseEmitterError } from './emitter'
import { retryHint, type SseEmitterOptions } from './emitterOptions'
import { nodeSink } from './nodeSink'

interface Stream {
  emitter: SseEmitter
  res: ServerResponse
  socket: Socket
  client: Client
  /** The callbacks so far, in order. */
  calls: string[]
  /** How many listeners the emitter has on the socket. */
  listeners: () => number
}

interface OpenOptions extends SseEmitterOptions {
  /** What the client sends. */
  head?: string
  /** The client reads nothing until it resumes. */
  reading?: boolean
}

/** Opens a stream on a server of its own. */
async function open({ head = request('GET'), reading = true, ...options }: OpenOptions = {}): Promise<Stream> {
  const opened = deferred<Omit<Stream, 'client'>>()
  const port = await serve(({ socket }, res) => {
    const before = listenersOf(socket)
    const emitter = new SseEmitter(nodeSink(res), options)
    const own = listenersOf(socket).filter((listener) => !before.includes(listener))
    const listeners = (): number => listenersOf(socket).filter((listener) => own.includes(listener)).length
    opened.resolve({ emitter, res, socket, calls: record(emitter), listeners })
  })
  const client = new Client(port, head)
  if (!reading) client.socket.pause()
  return { ...(await opened.promise), client }
}

function listenersOf(socket: Socket): unknown[] {
  return socket.eventNames().flatMap((event) => socket.listeners(event))
}

function record(emitter: SseEmitter): string[] {
  const calls: string[] = []
  emitter.onTimeout(() => calls.push('timeout'))
  emitter.onError((error) => calls.push(`error ${error instanceof SseEmitterError ? error.kind : String(error)}`))
  emitter.onCompletion(() => calls.push('completion'))
  return calls
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => (resolve = settle))
  return { promise, resolve }
}

function completion(emitter: SseEmitter): Promise<void> {
  return new Promise((resolve) => emitter.onCompletion(resolve))
}

/** The chunks of a received body. */
function chunksOf(received: string): string[] {
  const chunks: string[] = []
  let rest = received.slice(received.indexOf('\r\n\r\n') + 4)
  while (rest !== '') {
    const start = rest.indexOf('\r\n') + 2
    const end = start + Number.parseInt(rest, 16)
    chunks.push(rest.slice(start, end))
    rest = rest.slice(end + 2)
  }
  return chunks
}

/**
 * Sends events of this size until the network accepts no more and the last event waits. To make the emitter not `writable`, an
 * event must be larger than Node's high-water mark: 16 KiB, and from Node 22 on 64.
 */
async function fill({ emitter, res }: Stream, bytes: number): Promise<void> {
  const event = { data: 'x'.repeat(bytes) }
  for (;;) {
    if (!emitter.send(event)) throw new Error('The emitter has ended.')
    let looks = 0
    do await turn()
    while (res.writableLength > 0 && ++looks < 100)
    if (looks < 100) continue
    await sleep(50)
    if (res.writableLength > 0) return
  }
}

/** From here on, the test controls time for emitters. Everything else runs in real time. */
function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
}

beforeEach(() => {
  vi.spyOn(console, 'error')
})

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('opening', () => {
  it('sends these headers and the hint at once, before any event', async () => {
    const { client } = await open({ retry: 1234 })
    const [head, body] = (await client.until(/\n\n\r\n$/)).split('\r\n\r\n')
    expect(head?.split('\r\n').filter((line) => !line.startsWith('Date: '))).toEqual([
      'HTTP/1.1 200 OK',
      'Content-Type: text/event-stream; charset=utf-8',
      'Cache-Control: no-cache, no-transform',
      'X-Accel-Buffering: no',
      'Connection: close',
      'Transfer-Encoding: chunked',
    ])
    expect(body).toBe('d\r\nretry: 1234\n\n\r\n')
  })

  it('hints at a random 2 to 5 seconds by default', async () => {
    const { client } = await open()
    const hint = Number(/retry: (\d+)\n\n/.exec(await client.until(/retry: \d+\n\n/))?.[1])
    const hints = [hint, ...Array.from({ length: 200 }, retryHint)]
    expect(Math.min(...hints)).toBeGreaterThanOrEqual(2_000)
    expect(Math.max(...hints)).toBeLessThanOrEqual(5_000)
    expect(new Set(hints).size).toBeGreaterThan(50)
  })

  it('stays in range at both ends of the random number', () => {
    const random = vi.spyOn(Math, 'random')
    random.mockReturnValueOnce(0)
    expect(retryHint()).toBe(2_000)
    random.mockReturnValueOnce(1 - 2 ** -53)
    expect(retryHint()).toBe(5_000)
  })

  it('sends the headers at once even without a hint', async () => {
    const { emitter, client } = await open({ retry: false })
    expect(await client.until(/\r\n\r\n/)).toMatch(/\r\n\r\n$/)
    emitter.send({ data: 'first' })
    expect(chunksOf(await client.until(/first\n\n\r\n/))).toEqual(['data: first\n\n'])
  })

  it('answers HEAD with the headers alone, completed, and the connection can be reused', async () => {
    const port = await serve((_req, res) => {
      new SseEmitter(nodeSink(res), { retry: 7 })
    })
    const client = new Client(port, request('HEAD'))
    expect(await client.until(/\r\n\r\n/)).toMatch(/Content-Type: text\/event-stream[^]*\r\n\r\n$/)
    client.socket.write(request('GET'))
    expect(await client.until(/\n\n/)).toMatch(/\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*\r\n\r\na\r\nretry: 7\n\n/)
  })

  it('starts nothing for HEAD', async () => {
    fakeTimers()
    const { emitter, res, client, calls } = await open({ head: request('HEAD'), timeout: 1_000 })
    if (!res.closed) await once(res, 'close')
    await client.until(/\r\n\r\n/)
    expect(vi.getTimerCount()).toBe(0)
    expect(emitter.send({ data: 'x' })).toBe(false)
    expect(calls).toEqual(['completion'])
  })

  it('sends plain bytes to an HTTP/1.0 client, and closes', async () => {
    const { emitter, client } = await open({ head: 'GET / HTTP/1.0\r\n\r\n', retry: 7 })
    emitter.send({ data: 'x' })
    emitter.complete()
    expect(await client.toEnd()).toMatch(/\r\nConnection: close\r\n\r\nretry: 7\n\ndata: x\n\n$/)
  })

  const delays = [-1, 0.5, NaN, Infinity, 2 ** 31]
  it.each([
    ['timeout', delays],
    ['heartbeat', delays],
    ['drainTimeout', delays],
    ['retry', delays],
    ['maxUnsentBytes', [-1, 0, 63, 64.5, NaN, Infinity, 2 ** 53]],
  ])('refuses %s out of its range, and nothing is sent or started', async (option, values) => {
    fakeTimers()
    const port = await serve((_req, res) => {
      for (const value of values) {
        const message = `${option} must be an integer from`
        expect(() => new SseEmitter(nodeSink(res), { [option]: value }), String(value)).toThrow(RangeError)
        expect(() => new SseEmitter(nodeSink(res), { [option]: value })).toThrow(message)
      }
      res.end(`${vi.getTimerCount()} timers`)
    })
    expect(await new Client(port, request('GET')).until(/timers/)).toMatch(/0 timers$/)
  })

  it.each([
    { timeout: 2 ** 31 - 1, heartbeat: 2 ** 31 - 1, drainTimeout: 2 ** 31 - 1, retry: 2 ** 31 - 1 },
    { timeout: 0, heartbeat: 0, retry: 0, maxUnsentBytes: 64 },
  ])('takes the limits of the ranges: %o', async (options) => {
    const { client, emitter } = await open(options)
    emitter.complete()
    expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual([`retry: ${options.retry}\n\n`, ''])
  })
})

describe('sending', () => {
  it('puts one event into one chunk', async () => {
    const { emitter, client } = await open({ retry: 1 })
    expect(emitter.send({ event: 'tick', id: '1', data: 'a\nb' })).toBe(true)
    expect(emitter.send({ comment: 'c' })).toBe(true)
    expect(emitter.write(Buffer.from('data: x\n\ndata: y\n\n'))).toBe(true)
    emitter.complete()
    expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual([
      'retry: 1\n\n',
      'event: tick\nid: 1\ndata: a\ndata: b\n\n',
      ': c\n\n',
      'data: x\n\ndata: y\n\n',
      '',
    ])
  })

  it('sends each event without waiting for the next', async () => {
    const { emitter, client } = await open()
    for (const data of ['one', 'two', 'three']) {
      emitter.send({ data })
      await client.until(new RegExp(`data: ${data}\n\n\r\n$`))
    }
    expect(chunksOf(client.received)).toHaveLength(4)
  })

  it('throws for an event that cannot be encoded, and continues', async () => {
    const { emitter, client, calls } = await open({ retry: 1 })
    expect(() => emitter.send({ id: 'a\nb' })).toThrow(expect.objectContaining({ kind: 'id' }))
    expect(() => emitter.send({})).toThrow(expect.objectContaining({ kind: 'empty' }))
    emitter.send({ data: 'next' })
    expect(chunksOf(await client.until(/next\n\n\r\n/))).toEqual(['retry: 1\n\n', 'data: next\n\n'])
    expect(calls).toEqual([])
  })

  it('throws for an event that is larger than the limit, sends nothing of it, and continues', async () => {
    const { emitter, client, calls } = await open({ retry: 1, maxUnsentBytes: 100 })
    await client.until(/retry: 1\n\n/)
    const oversized = expect.objectContaining({ name: 'SseEmitterError', kind: 'oversized' }) as unknown
    expect(() => emitter.send({ data: 'x'.repeat(93) })).toThrow(oversized)
    expect(() => emitter.write(Buffer.alloc(101))).toThrow(oversized)
    // `data: `, and two line feeds.
    expect(emitter.send({ data: 'y'.repeat(92) })).toBe(true)
    expect(chunksOf(await client.until(/yy\n\n\r\n/))).toEqual(['retry: 1\n\n', `data: ${'y'.repeat(92)}\n\n`])
    expect(calls).toEqual([])
  })

  it('returns false after the end and never throws, whatever is sent', async () => {
    const { emitter, client } = await open({ retry: 1, maxUnsentBytes: 64 })
    emitter.complete()
    expect(emitter.send({ data: 'late' })).toBe(false)
    expect(emitter.send({ id: 'a\nb' })).toBe(false)
    expect(emitter.write(Buffer.alloc(1_000))).toBe(false)
    expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual(['retry: 1\n\n', ''])
  })

  it('returns false if someone else has ended the response', async () => {
    const { emitter, res, calls } = await open()
    res.end()
    expect(emitter.send({ data: 'x' })).toBe(false)
    await completion(emitter)
    expect(calls).toEqual(['error disconnected', 'completion'])
  })
})

describe('ending', () => {
  const endings: [string, string[], (stream: Stream) => unknown][] = [
    ['complete', ['completion'], ({ emitter }) => emitter.complete()],
    ['completeWithError', ['error why', 'completion'], ({ emitter }) => emitter.completeWithError('why')],
    ['the timeout', ['timeout', 'completion'], () => vi.advanceTimersByTime(60_000)],
    ['a reset of the client', ['error disconnected', 'completion'], ({ client }) => client.socket.resetAndDestroy()],
    ['a client that closes', ['error disconnected', 'completion'], ({ client }) => client.socket.destroy()],
    [
      'a client that sends no more but reads',
      ['error disconnected', 'completion'],
      ({ client }) => client.socket.end(),
    ],
    ['an error of the response', ['error disconnected', 'completion'], ({ res }) => res.destroy(new Error('broken'))],
    [
      'an overflow',
      ['error overflow', 'completion'],
      ({ emitter }) => {
        for (let n = 0; n < 1_000; n++) emitter.send({ data: 'x'.repeat(10_000) })
      },
    ],
  ]

  it.each(endings)('by %s calls back once, in order: %j', async (_name, expected, end) => {
    fakeTimers()
    const stream = await open({ timeout: 60_000 })
    const { emitter, calls, res } = stream
    expect(emitter.signal.aborted).toBe(false)
    const completed = completion(emitter)
    end(stream)
    await completed

    for (const again of [() => emitter.complete(), () => emitter.completeWithError('again')]) again()
    vi.advanceTimersByTime(120_000)
    if (!res.closed) await once(res, 'close')
    await turn()
    expect(calls).toEqual(expected)
  })

  it.each(endings)('by %s aborts the signal, and leaves no timer and no listener', async (_name, _expected, end) => {
    fakeTimers()
    const stream = await open({ timeout: 60_000 })
    const { emitter, res, listeners } = stream
    expect(listeners()).toBeGreaterThan(0)
    const completed = completion(emitter)
    end(stream)
    await completed
    expect(emitter.signal.aborted).toBe(true)
    expect(emitter.writable).toBe(false)
    expect(emitter.send({ data: 'x' })).toBe(false)

    if (!res.closed) await once(res, 'close')
    expect(vi.getTimerCount()).toBe(0)
    expect(res.listenerCount('drain')).toBe(0)
    expect(listeners()).toBe(0)
  })

  it.each(endings)('by %s calls late callbacks too, each in a microtask', async (_name, expected, end) => {
    fakeTimers()
    const stream = await open({ timeout: 60_000 })
    const completed = completion(stream.emitter)
    end(stream)
    await completed
    const late = record(stream.emitter)
    expect(late).toEqual([])
    await Promise.resolve()
    expect(late).toEqual(expected)
  })

  it('by complete delivers all events, then the end of the body, and closes the connection', async () => {
    const { emitter, client, calls } = await open({ retry: 1 })
    emitter.send({ data: 'last' })
    emitter.complete()
    expect(calls).toEqual(['completion'])
    expect(chunksOf(await client.toEnd())).toEqual(['retry: 1\n\n', 'data: last\n\n', ''])
  })

  it('calls several callbacks of each kind, in the order of their registration', async () => {
    const { emitter } = await open()
    const calls: string[] = []
    emitter.onCompletion(() => calls.push('completion 1'))
    emitter.onError((error) => calls.push(`error 1 ${String(error)}`))
    emitter.onTimeout(() => calls.push('timeout'))
    emitter.onCompletion(() => calls.push('completion 2'))
    emitter.onError((error) => calls.push(`error 2 ${String(error)}`))
    emitter.signal.addEventListener('abort', () => calls.push('abort'))
    emitter.completeWithError('why')
    expect(calls).toEqual(['error 1 why', 'error 2 why', 'abort', 'completion 1', 'completion 2'])
  })

  it('passes on the original error, and the cause of a broken response', async () => {
    const given = await open()
    const onError = vi.fn<(error: unknown) => void>()
    given.emitter.onError(onError)
    const why = new Error('why')
    given.emitter.completeWithError(why)
    expect(onError.mock.calls[0]?.[0]).toBe(why)

    const broken = await open()
    broken.emitter.onError(onError)
    broken.res.emit('error', why)
    expect(onError.mock.lastCall?.[0]).toMatchObject({ kind: 'disconnected', cause: why })
  })

  it.each(['onTimeout', 'onError', 'onCompletion'] as const)(
    'can be asked for again inside %s, which changes nothing',
    async (on) => {
      fakeTimers()
      const { emitter, calls, client } = await open({ timeout: 1_000, retry: 1 })
      const inside = vi.fn(() => {
        emitter.complete()
        emitter.completeWithError('again')
      })
      emitter[on](inside)
      emitter.onCompletion(() => calls.push('last'))
      if (on === 'onError') emitter.completeWithError('why')
      else vi.advanceTimersByTime(1_000)
      expect(inside).toHaveBeenCalledOnce()
      expect(calls).toEqual([on === 'onError' ? 'error why' : 'timeout', 'completion', 'last'])
      expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual(['retry: 1\n\n', ''])
    },
  )

  it('calls callbacks that are registered inside a callback', async () => {
    const { emitter } = await open()
    const calls: string[] = []
    emitter.onError(() => emitter.onError((error) => calls.push(`error ${String(error)}`)))
    emitter.onCompletion(() => emitter.onCompletion(() => calls.push('completion')))
    emitter.completeWithError('why')
    await Promise.resolve()
    expect(calls).toEqual(['error why', 'completion'])
  })

  it.each(['onTimeout', 'onError'] as const)('lets %s send a last message', async (on) => {
    fakeTimers()
    const { emitter, client } = await open({ timeout: 1_000, retry: 1 })
    emitter[on](() => {
      expect(emitter.send({ event: 'close', data: 'goodbye' })).toBe(true)
      expect(emitter.signal.aborted).toBe(false)
    })
    if (on === 'onError') emitter.completeWithError('why')
    else vi.advanceTimersByTime(1_000)
    expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual(['retry: 1\n\n', 'event: close\ndata: goodbye\n\n', ''])
    expect(console.error).not.toHaveBeenCalled()
  })

  it('lets onCompletion send nothing', async () => {
    const { emitter } = await open()
    const sent: boolean[] = []
    emitter.onCompletion(() => sent.push(emitter.send({ data: 'x' })))
    emitter.complete()
    expect(sent).toEqual([false])
  })

  it('does not time out early, nor after it has ended', async () => {
    fakeTimers()
    const { emitter, calls } = await open({ timeout: 1_000 })
    vi.advanceTimersByTime(999)
    expect(calls).toEqual([])
    emitter.complete()
    vi.advanceTimersByTime(10_000)
    expect(calls).toEqual(['completion'])
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('mine')
      },
    ],
    ['rejects', () => Promise.reject(new Error('mine'))],
  ])('reports a callback that %s, and continues', async (_name, fail) => {
    vi.mocked(console.error).mockImplementation(() => undefined)
    fakeTimers()
    const { emitter, calls, client } = await open({ timeout: 1_000 })
    emitter.onTimeout(fail)
    emitter.onTimeout(() => calls.push('timeout 2'))
    emitter.onCompletion(fail)
    emitter.onCompletion(() => calls.push('completion 2'))
    vi.advanceTimersByTime(1_000)
    emitter.onCompletion(fail)
    emitter.onCompletion(() => calls.push('late'))
    await turn()
    expect(calls).toEqual(['timeout', 'timeout 2', 'completion', 'completion 2', 'late'])
    expect(console.error).toHaveBeenCalledTimes(3)
    expect(console.error).toHaveBeenCalledWith(expect.any(String), new Error('mine'))
    await client.until(/0\r\n\r\n/)
  })
})

describe('a client that has left', () => {
  it.each<[string, string, boolean, (client: Socket, server: Socket) => unknown]>([
    ['reset', 'GET', true, (client) => client.resetAndDestroy()],
    ['closed', 'GET', true, (client) => client.destroy()],
    ['closed', 'HEAD', true, (client) => client.destroy()],
    ['destroyed in this very turn', 'GET', false, (_client, server) => server.destroy()],
  ])('before the first byte (%s, %s) finds an emitter that is born ended', async (_name, method, noticed, leave) => {
    fakeTimers()
    const arrived = deferred<ServerResponse>()
    const client = new Client(await serve((_req, res) => arrived.resolve(res)), request(method))
    const res = await arrived.promise
    const { socket } = res.req
    const closed = once(res, 'close')
    leave(client.socket, socket)
    if (noticed) await closed

    const before = listenersOf(socket)
    const emitter = new SseEmitter(nodeSink(res), { timeout: 60_000 })
    expect(emitter.signal.aborted).toBe(true)
    expect(emitter.send({ data: 'x' })).toBe(false)
    const calls = record(emitter)
    await Promise.resolve()
    expect(calls).toEqual(['error disconnected', 'completion'])
    expect(vi.getTimerCount()).toBe(0)
    expect(listenersOf(socket)).toEqual(before)
  })

  it.each<[string, string, (socket: Socket) => unknown]>([
    ['GET', request('GET', '/', { 'Content-Length': '2000000' }), (socket) => socket.end()],
    ['POST', request('POST', '/', { 'Content-Length': '2000000' }), (socket) => socket.end()],
    ['POST', request('POST', '/', { 'Content-Length': '2000000' }), (socket) => socket.resetAndDestroy()],
  ])('is noticed behind the unread body of a %s', async (_method, head, leave) => {
    const { emitter, client, calls } = await open({ head })
    const completed = completion(emitter)
    await new Promise((resolve) => client.socket.write('x'.repeat(1_900_000), resolve))
    leave(client.socket)
    await completed
    expect(calls).toEqual(['error disconnected', 'completion'])
  })

  it.each([
    ['little', 8_000],
    ['much', 60_000],
  ])('half, and reads nothing, is noticed at once although %s waits for it', async (_name, bytes) => {
    fakeTimers()
    const stream = await open({ reading: false })
    await fill(stream, bytes)
    const completed = completion(stream.emitter)
    stream.client.socket.end()
    await completed
    expect(stream.calls).toEqual(['error disconnected', 'completion'])
    expect(stream.emitter.send({ data: 'x' })).toBe(false)
    if (!stream.res.closed) await once(stream.res, 'close')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('with only its sending half still gets all events', async () => {
    const { emitter, client } = await open({ retry: 1 })
    emitter.send({ data: 'x' })
    client.socket.end()
    expect(await client.toEnd()).toContain('data: x\n\n')
  })

  it('cannot be sent to inside onError: send returns false', async () => {
    const { emitter, client } = await open()
    const sent: boolean[] = []
    emitter.onError(() => sent.push(emitter.send({ data: 'goodbye' })))
    const completed = completion(emitter)
    client.socket.end()
    await completed
    expect(sent).toEqual([false])
  })
})

describe('a request that was pipelined', () => {
  it('behind a live stream is refused, and the stream continues', async () => {
    const streams: SseEmitter[] = []
    const errors: unknown[] = []
    const port = await serve((_req, res) => {
      try {
        streams.push(new SseEmitter(nodeSink(res)))
      } catch (error) {
        errors.push(error)
        res.writeHead(400).end('refused')
      }
    })
    const client = new Client(port, request('GET') + request('GET'))
    await client.until(/retry: /)
    await vi.waitFor(() => expect(errors).toHaveLength(1))
    expect(errors[0]).toBeInstanceOf(SseEmitterError)
    expect(errors[0]).toMatchObject({ kind: 'pipelined' })

    expect(streams[0]?.send({ data: 'on' })).toBe(true)
    await client.until(/data: on\n\n/)
    streams[0]?.complete()
    expect(await client.toEnd()).toMatch(/data: on\n\n\r\n0\r\n\r\n$/)
  })

  it('does not hide from the stream before it that the client has left', async () => {
    const emitters: SseEmitter[] = []
    let requests = 0
    const port = await serve((_req, res) => {
      requests++
      try {
        emitters.push(new SseEmitter(nodeSink(res)))
      } catch {
        res.end()
      }
    })
    const client = new Client(port, request('GET') + request('GET'))
    await vi.waitFor(() => expect(requests).toBe(2))
    const [emitter] = emitters as [SseEmitter]
    const calls = record(emitter)
    const completed = completion(emitter)
    client.socket.destroy()
    await completed
    expect(calls).toEqual(['error disconnected', 'completion'])
  })

  it('behind a response that has ended meanwhile is a stream like any other', async () => {
    const first = deferred<ServerResponse>()
    const port = await serve(async (_req, res) => {
      if (res.socket) {
        first.resolve(res)
        return
      }
      const before = await first.promise
      before.end('first')
      await once(before, 'close')
      new SseEmitter(nodeSink(res), { retry: 77 })
    })
    await new Client(port, request('GET') + request('GET')).until(/first[^]*retry: 77\n\n/)
  })
})

describe('a slow client', () => {
  it('overflows at the limit: fewer bytes wait, and the connection is cut', async () => {
    const maxUnsentBytes = 100_000
    const stream = await open({ maxUnsentBytes, reading: false })
    const { emitter, res, socket, calls } = stream
    let most = 0
    for (let n = 0; n < 50_000 && emitter.send({ data: 'x'.repeat(1_000) }); n++) {
      most = Math.max(most, res.writableLength)
      await turn()
    }
    expect(calls).toEqual(['error overflow', 'completion'])
    expect(most).toBeGreaterThan(maxUnsentBytes - 2_000)
    expect(most).toBeLessThan(maxUnsentBytes + 20)
    if (!socket.closed) await once(socket, 'close')
    expect(socket.destroyed).toBe(true)
  })

  it('counts waiting bytes exactly: an event that just fits is sent, one byte more is not', async () => {
    const { emitter, res, calls } = await open({ maxUnsentBytes: 1_000, retry: false })
    emitter.send({ data: 'x'.repeat(500) })
    // Everything sent in one turn waits, even for a fast client.
    const room = 1_000 - res.writableLength
    expect(emitter.write(Buffer.alloc(room, 'y'))).toBe(true)
    expect(calls).toEqual([])
    expect(emitter.write(Buffer.alloc(1))).toBe(false)
    expect(calls).toEqual(['error overflow', 'completion'])
  })

  it('that reads nothing is stalled after drainTimeout, and not before', async () => {
    fakeTimers()
    const stream = await open({ drainTimeout: 1_000, reading: false })
    const { emitter, socket, calls } = stream
    await fill(stream, 150_000)
    expect(emitter.writable).toBe(false)
    vi.advanceTimersByTime(999)
    expect(emitter.send({ data: 'more' })).toBe(true)
    expect(calls).toEqual([])
    vi.advanceTimersByTime(1)
    expect(calls).toEqual(['error stalled', 'completion'])
    if (!socket.closed) await once(socket, 'close')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('that drains in time stays connected, and calls back once per drain', async () => {
    fakeTimers()
    const stream = await open({ drainTimeout: 1_000, heartbeat: 0, reading: false })
    const { emitter, socket, client, calls } = stream
    emitter.onDrain(() => calls.push(`drain ${String(emitter.writable)}`))
    for (let round = 0; round < 2; round++) {
      await fill(stream, 150_000)
      expect(emitter.writable).toBe(false)
      vi.advanceTimersByTime(999)
      calls.length = 0
      const drained = once(socket, 'drain')
      client.socket.resume()
      await drained
      expect(vi.getTimerCount()).toBe(0)
      vi.advanceTimersByTime(10_000)
      expect(calls).toEqual(['drain true'])
      client.socket.pause()
    }
    expect(emitter.send({ data: 'still there' })).toBe(true)
    client.socket.resume()
    await client.until(/still there/)
  })

  it('that never reads the rest after complete keeps the connection for at most drainTimeout', async () => {
    fakeTimers()
    const stream = await open({ drainTimeout: 1_000, reading: false })
    const { emitter, res, socket, calls } = stream
    await fill(stream, 150_000)
    emitter.complete()
    vi.advanceTimersByTime(999)
    await turn()
    expect(socket.destroyed).toBe(false)
    const closed = once(res, 'close')
    vi.advanceTimersByTime(1)
    await closed
    expect(socket.destroyed).toBe(true)
    expect(calls).toEqual(['completion'])
  })

  it('that reads the rest after complete gets all of it', async () => {
    fakeTimers()
    const stream = await open({ drainTimeout: 1_000, retry: false, reading: false })
    const { emitter, res, client } = stream
    await fill(stream, 150_000)
    emitter.send({ data: 'the last' })
    emitter.complete()
    const closed = once(res, 'close')
    client.socket.resume()
    expect(await client.until(/data: the last\n\n\r\n0\r\n\r\n$/)).toContain('data: x')
    await closed
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the heartbeat', () => {
  it('is a comment after each interval of silence, and not before', async () => {
    fakeTimers()
    const { client } = await open({ retry: 1, heartbeat: 1_000 })
    await client.until(/retry: 1\n\n/)
    vi.advanceTimersByTime(999)
    await turn()
    expect(chunksOf(client.received)).toEqual(['retry: 1\n\n'])
    vi.advanceTimersByTime(1)
    await client.until(/: \n\n\r\n$/)
    vi.advanceTimersByTime(1_000)
    await client.until(/: \n\n\r\n[^]*: \n\n\r\n$/)
    expect(chunksOf(client.received)).toEqual(['retry: 1\n\n', ': \n\n', ': \n\n'])
  })

  it('comes after 15 s by default', async () => {
    fakeTimers()
    const { socket } = await open()
    const write = vi.spyOn(socket, 'write')
    vi.advanceTimersByTime(14_999)
    expect(write).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1)
    expect(write).toHaveBeenCalledExactlyOnceWith(Buffer.from('4\r\n: \n\n\r\n'))
  })

  it('is postponed by every event', async () => {
    fakeTimers()
    const { emitter, client } = await open({ retry: 1, heartbeat: 1_000 })
    vi.advanceTimersByTime(900)
    emitter.send({ data: 'a' })
    vi.advanceTimersByTime(900)
    emitter.write(Buffer.from('data: b\n\n'))
    vi.advanceTimersByTime(900)
    emitter.send({ data: 'c' })
    vi.advanceTimersByTime(1_000)
    await client.until(/: \n\n\r\n$/)
    expect(chunksOf(client.received)).toEqual(['retry: 1\n\n', 'data: a\n\n', 'data: b\n\n', 'data: c\n\n', ': \n\n'])
  })

  it('can be an event named ping, which has no id', async () => {
    fakeTimers()
    const { client } = await open({ retry: 1, heartbeat: 1_000, ping: true })
    vi.advanceTimersByTime(1_000)
    await client.until(/ping/)
    expect(chunksOf(client.received)).toEqual(['retry: 1\n\n', 'event: ping\ndata: \n\n'])
  })

  it('can be disabled, and then no timer is left', async () => {
    fakeTimers()
    const { emitter, client } = await open({ retry: 1, heartbeat: 0 })
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(1_000_000)
    emitter.complete()
    expect(chunksOf(await client.until(/0\r\n\r\n/))).toEqual(['retry: 1\n\n', ''])
  })

  it('does not keep the process alive, and neither does any other timer of an emitter', async () => {
    const timers = vi.spyOn(globalThis, 'setTimeout')
    const { emitter } = await open({ timeout: 60_000 })
    emitter.complete()
    // The timeout, the heartbeat, and the timer for the client to read the rest.
    expect(timers.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false, false, false])
  })
})

describe('a reused connection', () => {
  it('accumulates no listeners over 50 streams', async () => {
    const connections = new Set<Http2Session>()
    const counts: Record<string, number>[] = []
    const warned = vi.fn<(warning: Error) => void>()
    process.on('warning', warned)
    const server = createHttp2Server(({ stream }, res) => {
      const { session } = stream
      if (!session) throw new Error('The stream has no connection.')
      connections.add(session)
      counts.push(Object.fromEntries(session.eventNames().map((name) => [name, session.listenerCount(name)])))
      const emitter = new SseEmitter(nodeSink(res))
      emitter.send({ data: 'x' })
      emitter.complete()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    for (let n = 0; n < 50; n++) await once(client.request().resume(), 'end')
    client.close()
    server.close()
    await once(server, 'close')
    process.off('warning', warned)
    expect(connections.size).toBe(1)
    expect(counts).toHaveLength(50)
    expect(counts.at(-1)).toEqual(counts[1])
    expect(warned).not.toHaveBeenCalled()
  })
})
