import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Client, request, serve } from '../testing'
import { SseEmitter } from './emitter'
import type { SseEmitterOptions } from './emitterOptions'
import { CapacityError, Streams, type StreamLimits } from './streams'

interface Opened {
  client: Client
  res: ServerResponse
  /** The result or the error of `open`. */
  result: unknown
}

interface OpenOptions extends SseEmitterOptions {
  address?: string
  method?: string
  /** Before the server opens the stream. */
  leave?: boolean
}

/** Streams behind a server. Clients name their own address. */
async function start(limits?: StreamLimits, defaults?: SseEmitterOptions) {
  const streams = new Streams(limits, defaults)
  const results: ((result: [ServerResponse, unknown]) => void)[] = []
  let options: OpenOptions = {}
  const port = await serve(async (req, res) => {
    const { address = '192.0.2.1', leave = false, ...rest } = options
    if (leave) await once(res, 'close')
    let result: unknown
    try {
      result = streams.open(Object.assign(req, { ip: address }), res, rest)
    } catch (error) {
      result = error
      res.writeHead(503).end()
    }
    results.shift()?.([res, result])
  })

  async function attempt(next: OpenOptions = {}): Promise<Opened> {
    options = next
    const answered = new Promise<[ServerResponse, unknown]>((resolve) => results.push(resolve))
    const client = new Client(port, request(next.method ?? 'GET'))
    if (next.leave) client.socket.once('connect', () => setImmediate(() => client.socket.destroy()))
    const [res, result] = await answered
    return { client, res, result }
  }

  return {
    streams,
    attempt,
    /** Opens a stream, which has to succeed. */
    open: async (next?: OpenOptions): Promise<Opened & { result: SseEmitter }> => {
      const { result, ...rest } = await attempt(next)
      if (!(result instanceof SseEmitter)) throw result
      return { ...rest, result }
    },
  }
}

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('the count', () => {
  it('counts open streams', async () => {
    const { streams, open } = await start()
    expect(streams.size).toBe(0)
    const first = await open()
    await open()
    expect(streams.size).toBe(2)
    first.result.complete()
    await vi.waitFor(() => expect(streams.size).toBe(1))
  })

  it.each<[string, OpenOptions, (stream: Opened & { result: SseEmitter }) => unknown]>([
    ['complete', {}, ({ result }) => result.complete()],
    ['completeWithError', {}, ({ result }) => result.completeWithError('why')],
    ['a timeout', { timeout: 10 }, () => undefined],
    ['a client that resets', {}, ({ client }) => client.socket.resetAndDestroy()],
    ['a client that closes', {}, ({ client }) => client.socket.destroy()],
    ['a client that sends no more', {}, ({ client }) => client.socket.end()],
    [
      'an overflow',
      { maxUnsentBytes: 1_000 },
      ({ result }) => {
        for (let n = 0; n < 100; n++) result.send({ data: 'x'.repeat(100) })
      },
    ],
    [
      'a callback that throws',
      {},
      ({ result }) => {
        vi.spyOn(console, 'error').mockImplementation(() => undefined)
        result.onCompletion(() => {
          throw new Error('mine')
        })
        result.complete()
      },
    ],
    ['HEAD', { method: 'HEAD' }, () => undefined],
  ])('is back at nothing, and the place is free again, after %s', async (_name, options, end) => {
    const { streams, open } = await start({ perAddress: 1, total: 1 })
    for (let round = 0; round < 3; round++) {
      end(await open(options))
      await vi.waitFor(() => expect(streams.size).toBe(0))
    }
  })

  it('does not include a client that left before its stream was opened', async () => {
    const { streams, open } = await start({ total: 1 })
    for (let round = 0; round < 3; round++) {
      const { result } = await open({ leave: true })
      expect(result.signal.aborted).toBe(true)
      expect(streams.size).toBe(0)
    }
  })

  it('does not include requests pipelined behind a stream whose client then leaves', async () => {
    const { streams, open } = await start()
    const asked = vi.spyOn(streams, 'open')
    const { client } = await open()
    client.socket.write(request('GET').repeat(3))
    await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(4))
    expect(streams.size).toBe(1)
    client.socket.destroy()
    await vi.waitFor(() => expect(streams.size).toBe(0))
  })

  it('still includes a completed stream whose client has not read to its end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { streams, open } = await start({}, { drainTimeout: 1_000 })
    const { client, res, result } = await open()
    client.socket.pause()
    while (result.writable || res.writableLength < 500_000) {
      if (!result.send({ data: 'x'.repeat(60_000) })) throw new Error('It read on.')
      await turn()
    }
    result.complete()
    await turn()
    expect(streams.size).toBe(1)

    const closed = once(res, 'close')
    vi.advanceTimersByTime(1_000)
    await closed
    expect(streams.size).toBe(0)
  })
})

describe('the limits', () => {
  it('refuse one stream too many from an address, and admit others', async () => {
    const { streams, attempt, open } = await start({ perAddress: 2 })
    const { result } = await open({ address: '192.0.2.1' })
    await open({ address: '192.0.2.1' })
    const refused = await attempt({ address: '192.0.2.1' })
    expect(refused.result).toBeInstanceOf(CapacityError)
    expect(refused.result).toMatchObject({
      kind: 'address',
      retryAfter: 30,
      message: expect.stringMatching(/^2 streams are open from your/) as string,
    })
    expect(await refused.client.until(/\r\n\r\n/)).toMatch(/^HTTP\/1.1 503 /)
    await open({ address: '192.0.2.2' })
    expect(streams.size).toBe(3)

    result.complete()
    await vi.waitFor(() => expect(streams.size).toBe(2))
    await open({ address: '192.0.2.1' })
  })

  it('refuse one stream too many in total, and end none to make room', async () => {
    const { streams, attempt, open } = await start({ total: 2 })
    const { result, client } = await open({ address: '192.0.2.1' })
    await open({ address: '192.0.2.2' })
    const refused = await attempt({ address: '192.0.2.3' })
    expect(refused.result).toBeInstanceOf(CapacityError)
    expect(refused.result).toMatchObject({
      kind: 'total',
      retryAfter: 30,
      message: expect.stringMatching(/^2 streams are open/) as string,
    })
    expect(streams.size).toBe(2)
    expect(result.send({ data: 'still here' })).toBe(true)
    await client.until(/still here/)

    result.complete()
    await vi.waitFor(() => expect(streams.size).toBe(1))
    await open({ address: '192.0.2.3' })
  })

  it('are 100 per address by default', async () => {
    const { streams, attempt, open } = await start()
    for (let n = 0; n < 100; n++) await open()
    expect((await attempt()).result).toMatchObject({ kind: 'address' })
    expect(streams.size).toBe(100)
  })
})

describe('an emitter', () => {
  it('has the common options, overridden by its own', async () => {
    const { open } = await start({}, { retry: 111, maxUnsentBytes: 500 })
    const ofAll = await open()
    await ofAll.client.until(/retry: 111\n\n/)
    expect(() => ofAll.result.write(Buffer.alloc(501))).toThrow(expect.objectContaining({ kind: 'oversized' }))
    const own = await open({ retry: 222 })
    await own.client.until(/retry: 222\n\n/)
    expect(() => own.result.write(Buffer.alloc(501))).toThrow(expect.objectContaining({ kind: 'oversized' }))
  })
})

describe('the limit of one client', () => {
  it('covers all addresses of an IPv6 /64 together', async () => {
    const { open, attempt } = await start({ perAddress: 2 })
    await open({ address: '2001:db8:0:1::1' })
    await open({ address: '2001:db8:0:1:ffff::2' })
    expect((await attempt({ address: '2001:db8:0:1::3' })).result).toMatchObject({ kind: 'address' })
    await open({ address: '2001:db8:0:2::1' })
  })

  it('covers an IPv4 address in any notation', async () => {
    const { open, attempt } = await start({ perAddress: 1 })
    await open({ address: '192.0.2.1' })
    expect((await attempt({ address: '::ffff:192.0.2.1' })).result).toMatchObject({ kind: 'address' })
    await open({ address: '::ffff:192.0.2.2' })
  })
})

describe('the refusal', () => {
  it('is null while streams are accepted, and says why otherwise', async () => {
    const { streams, open } = await start({ total: 1 })
    expect(streams.refusal).toBeNull()
    const { result } = await open()
    expect(streams.refusal).toMatchObject({ kind: 'total', retryAfter: 30 })
    result.complete()
    await vi.waitFor(() => expect(streams.refusal).toBeNull())
    await streams.end(0)
    expect(streams.refusal).toMatchObject({ kind: 'shutdown', retryAfter: 5 })
  })
})

describe('the end', () => {
  it('sends every stream a hint of 2 to 5 seconds, and completes it', async () => {
    const { streams, open } = await start({}, { retry: false })
    const opened = [await open(), await open(), await open()]
    const calls: string[] = []
    for (const { result } of opened) {
      result.onCompletion(() => calls.push('completion'))
      result.onError(() => calls.push('error'))
    }
    await streams.end(0)
    expect(calls).toEqual(['completion', 'completion', 'completion'])
    for (const { client } of opened) {
      const received = await client.until(/\r\n0\r\n\r\n$/)
      expect(received).toMatch(/\r\n\r\nd\r\nretry: ([234]\d\d\d|5000)\n\n\r\n0\r\n\r\n$/)
    }
    await vi.waitFor(() => expect(streams.size).toBe(0))
  })

  it('ends one stream after the other, over the given time', async () => {
    const { streams, open } = await start()
    const ends: number[] = []
    for (let n = 0; n < 4; n++) {
      const { result } = await open()
      result.onCompletion(() => ends.push(n))
    }
    const began = performance.now()
    await streams.end(200)
    expect(ends).toEqual([0, 1, 2, 3])
    // The last of four begins after three quarters of it; a timer may be a millisecond early.
    expect(performance.now() - began).toBeGreaterThan(148)
  })

  it('opens no more streams, and says that this is temporary', async () => {
    const { streams, attempt } = await start()
    await streams.end(0)
    const { result } = await attempt()
    expect(result).toBeInstanceOf(CapacityError)
    expect(result).toMatchObject({ kind: 'shutdown', retryAfter: 5 })
    expect(streams.size).toBe(0)
  })

  it('skips a stream that ends before its turn', async () => {
    const { streams, open } = await start()
    const calls: string[] = []
    const { result } = await open()
    const other = await open()
    result.onCompletion(() => calls.push('first'))
    other.result.onCompletion(() => calls.push('second'))
    const ended = streams.end(0)
    result.complete()
    other.client.socket.destroy()
    await ended
    expect(calls).toEqual(['first', 'second'])
  })
})
