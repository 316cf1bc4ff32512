import { get, type IncomingMessage } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Client, eventsOf, serve } from '../testing'
import { SseEmitter, type SseEmitterOptions } from './emitter'
import type { EventLog } from './eventLog'
import { Hub, type Emitter, type HubOptions, type SubscribeOptions } from './hub'
import { MemoryEventLog, type MemoryEventLogOptions } from './memoryEventLog'

vi.setConfig({ testTimeout: 60_000 })

const eventually = (assertion: () => void): Promise<void> => vi.waitFor(assertion, { timeout: 50_000, interval: 1 })

interface Backend {
  hub: Hub
  log: MemoryEventLog
  /** In the order in which their clients came. */
  emitters: SseEmitter[]
  port: number
  /** A raw client of channel `c`. HTTP/1.0 has no chunks: what comes after the head is the stream. */
  connect: (after?: string | null) => Client
}

/** A server whose every path is a subscription to channel `c`, as a route would write it. */
async function backend(
  subscription: Omit<SubscribeOptions, 'after'> = {},
  options: MemoryEventLogOptions & HubOptions & SseEmitterOptions = {},
): Promise<Backend> {
  const log = new MemoryEventLog(options)
  onTestFinished(() => log.close())
  const hub = new Hub(log, options)
  const emitters: SseEmitter[] = []
  const port = await serve((req, res) => {
    const id = req.headers['last-event-id']
    const after = typeof id === 'string' ? id : null
    void hub.resume('c', after).then(async (answer) => {
      if (answer === 'finished') {
        res.writeHead(204).end()
        return
      }
      const emitter = new SseEmitter(res, { heartbeat: 0, retry: false, ...options })
      emitters.push(emitter)
      await hub.subscribe('c', emitter, { after, ...subscription })
    })
  })
  const connect = (after: string | null = null): Client =>
    new Client(port, `GET / HTTP/1.0\r\n${after === null ? '' : `Last-Event-ID: ${after}\r\n`}\r\n`)
  return { hub, log, emitters, port, connect }
}

const received = (text: string): Record<string, string>[] => eventsOf(text.slice(text.indexOf('\r\n\r\n') + 4))
const data = (text: string): (string | undefined)[] => received(text).map((event) => event['data'])
const idsOf = (text: string): (string | undefined)[] => received(text).map((event) => event['id'])

async function publish(hub: Hub, ...contents: string[]): Promise<string[]> {
  return Promise.all(contents.map((content) => hub.publish('c', { data: content })))
}

describe('a subscriber', () => {
  it('gets what is kept and then what is new, in one stream, each with its position as the id', async () => {
    const { hub, connect } = await backend()
    const before = await publish(hub, '1', '2')
    const client = connect()
    await client.until(/data: 2\n/)
    const after = await publish(hub, '3')
    const text = await client.until(/data: 3\n/)
    expect(data(text)).toEqual(['1', '2', '3'])
    expect(idsOf(text)).toEqual([...before, ...after])
  })

  it('can start after what is kept', async () => {
    const { hub, connect } = await backend({ from: 'now', greeting: 'hello' })
    const [, top] = await publish(hub, '1', '2')
    const client = connect()
    await client.until(/hello/)
    await publish(hub, '3')
    const text = await client.until(/data: 3\n/)
    expect(received(text)).toMatchObject([{ id: top, data: 'hello' }, { data: '3' }])
  })

  it('that saw nothing but its greeting resumes from its start, and is greeted again, with no id to disturb its own', async () => {
    const { hub, connect } = await backend({ greeting: 'hello' })
    const first = connect()
    const [greeting] = received(await first.until(/hello\n\n/))
    first.socket.destroy()
    await publish(hub, '1', '2')
    const second = connect(greeting?.['id'])
    const [again, ...more] = received(await second.until(/data: 2\n/))
    expect(again).toEqual({ data: 'hello' })
    expect(more).toMatchObject([{ data: '1' }, { data: '2' }])
  })

  it('that was cut off resumes after the last event that it saw', async () => {
    const { hub, connect } = await backend()
    const positions = await publish(hub, '1', '2', '3', '4')
    const client = connect(positions[1])
    expect(data(await client.until(/data: 4\n/))).toEqual(['3', '4'])
  })

  it('that left before it was subscribed, or later, leaves nothing behind', async () => {
    const { hub, log, connect, emitters } = await backend()
    const client = connect()
    await publish(hub, '1')
    await client.until(/data: 1\n/)
    expect(hub.size).toBe(1)
    client.socket.destroy()
    await eventually(() => expect(hub.size).toBe(0))
    const [gone] = emitters
    const read = vi.spyOn(log, 'read')
    if (gone) await hub.subscribe('c', gone, { after: null })
    await turn()
    await turn()
    expect(hub.size).toBe(0)
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('is refused before its stream is opened when there is no room for its channel', async () => {
    const hub = new Hub(new MemoryEventLog({ maxChannels: 1 }))
    await hub.publish('c', { data: '1' })
    await expect(hub.resume('d', null)).rejects.toMatchObject({ name: 'EventLogError', kind: 'channels' })
    await expect(hub.resume('d', 'e:1')).rejects.toMatchObject({ name: 'EventLogError', kind: 'channels' })
    expect(await hub.resume('c', null)).toBe('open')
  })
})

describe('a tick', () => {
  it('sends all its events in one write', async () => {
    const { hub, port } = await backend()
    const client = new Client(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await publish(hub, 'first')
    await client.until(/first/)
    const before = client.received.length
    const contents = Array.from({ length: 200 }, (_, n) => `<${n}>`)
    await publish(hub, ...contents)
    const text = (await client.until(/<199>/)).slice(before)
    expect(text.match(/^[0-9a-f]+\r\n/gm)).toHaveLength(1)
    expect(text.match(/data: <\d+>/g)).toEqual(contents.map((content) => `data: ${content}`))
  })

  it('gives subscribers at the same cursor the same bytes, and reads the log once for them', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const writes: Uint8Array[][] = [[], [], []]
    for (const taken of writes) await hub.subscribe('c', emitterThat({ write: taken }), { after: null })
    await turn()
    const read = vi.spyOn(log, 'read')
    await publish(hub, '1', '2', '3')
    await eventually(() => expect(writes.map((taken) => taken.length)).toEqual([1, 1, 1]))
    expect(writes[1]?.[0]).toBe(writes[0]?.[0])
    expect(writes[2]?.[0]).toBe(writes[0]?.[0])
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('is paused for by a producer that awaits, which overtakes nobody', async () => {
    const { hub, connect } = await backend({}, { maxEvents: 100 })
    const client = connect()
    await publish(hub, 'first')
    await client.until(/first/)
    for (let n = 0; n < 3_000; n++) await hub.publish('c', { data: `<${n}>` })
    await hub.over('c')
    const text = await client.toEnd()
    expect(data(text).slice(1, -1)).toEqual(Array.from({ length: 3_000 }, (_, n) => `<${n}>`))
  })
})

describe('over', () => {
  it('sends every subscriber the rest and close, and ends its stream', async () => {
    const { hub, connect } = await backend()
    const clients = [connect(), connect()]
    await publish(hub, '1')
    for (const client of clients) await client.until(/data: 1\n/)
    await publish(hub, '2')
    const position = await hub.over('c')
    for (const client of clients) {
      expect(received(await client.toEnd())).toMatchObject([
        { data: '1' },
        { data: '2' },
        { event: 'close', data: 'Connection closed by server', id: position },
      ])
    }
    await eventually(() => expect(hub.size).toBe(0))
    expect(await hub.over('c')).toBe(null)
  })

  it('answers a client that saw the end with 204, one that did not with the rest, and a newcomer with what is new', async () => {
    const { hub, connect } = await backend()
    const [first] = await publish(hub, 'old')
    const end = await hub.over('c')
    await publish(hub, 'new')
    expect(await connect(end).toEnd()).toMatch(/^HTTP\/1\.1 204 /)
    expect(received(await connect(first).toEnd())).toMatchObject([{ event: 'close', id: end }])
    const newcomer = connect()
    expect(data(await newcomer.until(/new/))).toEqual(['new'])
  })

  it('ends a stream whose client saw the end between the answer and the subscription', async () => {
    const { hub, emitters, connect } = await backend()
    const client = connect()
    await publish(hub, '1')
    await client.until(/data: 1\n/)
    const end = await hub.over('c')
    const port = await serve((_req, res) => {
      void hub.subscribe('c', new SseEmitter(res, { retry: false }), { after: end })
    })
    expect(received(await new Client(port, 'GET / HTTP/1.0\r\n\r\n').toEnd())).toEqual([])
    expect(emitters).toHaveLength(1)
  })
})

describe('a gap', () => {
  it.each([
    ['no position', 'junk'],
    ['a number', '-1'],
    ['foreign', 'e:1'],
    ['negative', '<e>:-1'],
    ['ahead', '<e>:3'],
    ['no safe integer', '<e>:9007199254740993'],
    ['a position and more', '<e>:1 junk'],
    ['huge', `${'9'.repeat(9_000)}:1`],
  ])('is one stream-reset at the top and then only what is new, for an id that is %s', async (_name, id) => {
    const { hub, connect } = await backend({ greeting: 'hello' })
    const [oldest, latest = ''] = await publish(hub, '1', '2')
    const requested = id.replace('<e>', latest.replace(/:.*/, ''))
    const client = connect(requested)
    await client.until(/\n\n/)
    await publish(hub, '3')
    const [, reset, ...more] = received(await client.until(/data: 3\n/))
    expect(reset).toMatchObject({ event: 'stream-reset', id: latest })
    expect(JSON.parse(reset?.['data'] ?? '')).toEqual({
      reason: expect.stringMatching(/^(malformed|epoch|ahead)$/) as string,
      requested: requested.slice(0, 100),
      oldest,
      latest,
    })
    expect(more).toMatchObject([{ data: '3' }])

    const again = connect(latest)
    expect(data(await again.until(/data: 3\n/))).toEqual(['hello', '3'])
  })

  it('is told to a client whose events are no longer kept', async () => {
    const { hub, connect } = await backend({}, { maxEvents: 2 })
    const positions = await publish(hub, '1', '2', '3', '4')
    const client = connect(positions[0])
    const [reset] = received(await client.until(/stream-reset[^]*\n\n/))
    expect(JSON.parse(reset?.['data'] ?? '')).toEqual({
      reason: 'trimmed',
      requested: positions[0],
      oldest: positions[2],
      latest: positions[3],
    })
  })
})

describe('a client that does not read', () => {
  const BLOCK = 'x'.repeat(64_000)
  const MUCH = 400

  async function stalled({ hub, emitters, connect }: Backend): Promise<{ client: Client; positions: string[] }> {
    const client = connect()
    const positions = await publish(hub, 'first')
    await client.until(/first/)
    client.socket.pause()
    for (let n = 0; n < MUCH; n++) positions.push(await hub.publish('c', { data: BLOCK }))
    await eventually(() => expect(emitters[0]?.writable).toBe(false))
    return { client, positions }
  }

  it('loses nothing that is kept when it reads again', async () => {
    const server = await backend({}, { maxBytes: 64 * 2 ** 20 })
    const { client, positions } = await stalled(server)
    const end = await server.hub.over('c')
    client.socket.resume()
    expect(idsOf(await client.toEnd())).toEqual([...positions, end])
  })

  it('is told so once when what it missed is no longer kept, and goes on', async () => {
    const server = await backend({}, { maxEvents: 40 })
    const { client, positions } = await stalled(server)
    client.socket.resume()
    await eventually(() => expect(server.emitters[0]?.writable).toBe(true))
    await client.until(/stream-reset/)
    const [last] = await publish(server.hub, 'last')
    const end = await server.hub.over('c')
    const events = received(await client.toEnd())
    const at = events.findIndex(({ event }) => event === 'stream-reset')
    const ids = events.map(({ id }) => id)
    expect(ids).toEqual([...positions.slice(0, at), positions.at(-1), last, end])
    expect(JSON.parse(events[at]?.['data'] ?? '')).toMatchObject({ reason: 'trimmed', requested: ids[at - 1] })
  })

  it('costs a position and not a queue: 100 of them, 50 MB, under 20 MB, and the others get everything', async () => {
    const { hub, emitters, port } = await backend({}, { drainTimeout: 600_000 })
    const deaf = Array.from({ length: 100 }, () => new Client(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'))
    await eventually(() => expect(emitters).toHaveLength(100))
    await publish(hub, 'first')
    await Promise.all(deaf.map((client) => client.until(/first/)))
    for (const client of deaf) client.socket.pause()
    const readers = await Promise.all(Array.from({ length: 3 }, () => reader(port)))

    const before = memory()
    for (let n = 2; n <= 801; n++) {
      await hub.publish('c', { data: BLOCK })
      if (n % 16 === 0) await eventually(() => expect(readers.map(({ offset }) => offset)).toEqual([n, n, n]))
    }
    await eventually(() => expect(readers.map(({ offset }) => offset)).toEqual([801, 801, 801]))
    const grown = memory() - before

    expect(emitters.filter(({ writable }) => !writable)).toHaveLength(100)
    expect(emitters.filter(({ signal }) => signal.aborted)).toHaveLength(0)
    expect(grown).toBeLessThan(20e6)
  })
})

describe('a failure', () => {
  it('of one emitter does not reach the others', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const error = new Error('oversized')
    const [failed, taken]: [unknown[], Uint8Array[]] = [[], []]
    await hub.subscribe('c', emitterThat({ throws: error, failed }), { after: null })
    await hub.subscribe('c', emitterThat({ write: taken }), { after: null })
    await publish(hub, '1')
    await eventually(() => expect(taken).toHaveLength(1))
    expect(failed).toEqual([error])
  })

  it('of the log ends the streams that it concerns, with its error', async () => {
    const log: EventLog = new MemoryEventLog()
    const hub = new Hub(log)
    const failed: unknown[] = []
    await hub.subscribe('c', emitterThat({ failed }), { after: null })
    await turn()
    const error = new Error('no connection')
    const read = vi.spyOn(log, 'read').mockRejectedValue(error)
    await publish(hub, '1')
    await eventually(() => expect(failed).toEqual([error]))
    await hub.subscribe('c', emitterThat({ failed }), { after: null })
    expect(failed).toEqual([error, error])
    expect(read).toHaveBeenCalledTimes(2)
    await log.close()
  })
})

/** An emitter without a socket, which takes everything. */
function emitterThat({
  write = [],
  failed = [],
  throws,
}: {
  write?: Uint8Array[]
  failed?: unknown[]
  throws?: Error
}): Emitter {
  const emitter = {
    writable: true,
    write(bytes: Uint8Array): boolean {
      if (throws) throw throws
      write.push(bytes)
      return true
    },
    onDrain: () => undefined,
    onCompletion: () => undefined,
    complete: () => undefined,
    completeWithError(error: unknown): void {
      failed.push(error)
      emitter.writable = false
    },
  }
  return emitter
}

/** A client that reads everything, keeps only the last offset, and fails on a hole. */
async function reader(port: number): Promise<{ offset: number }> {
  const state = { offset: 0 }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', agent: false }, resolve).on('error', reject)
    onTestFinished(() => void request.destroy())
  })
  let line = ''
  response.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${line}${text}`.split('\n')
    line = lines.pop() ?? ''
    for (const complete of lines) {
      const offset = /^id: .*:(\d+)$/.exec(complete)?.[1]
      if (offset === undefined) continue
      if (Number(offset) !== state.offset + 1) throw new Error(`${offset} after ${state.offset}`)
      state.offset += 1
    }
  })
  response.on('error', () => undefined)
  await eventually(() => expect(state.offset).toBe(1))
  return state
}

/** Bytes in use, garbage not counted. */
function memory(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
