import { get, type IncomingMessage } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished, vi, type Mock, type MockInstance } from 'vitest'
import { Client, eventsOf, serve } from '../testing'
import { SseEmitter } from './emitter'
import type { SseEmitterOptions } from './emitterOptions'
import type { Emitter } from './channel'
import { nodeSink } from './nodeSink'
import { EventLogError, type EventLog } from './eventLog'
import { Hub, type HubOptions, type SubscribeOptions } from './hub'
import { MemoryEventLog, type MemoryEventLogOptions } from './memoryEventLog'

vi.setConfig({ testTimeout: 60_000 })

const eventually = (assertion: () => void): Promise<void> => vi.waitFor(assertion, { timeout: 50_000, interval: 1 })

interface Backend {
  hub: Hub
  log: MemoryEventLog
  /** In the order of their clients’ arrival. */
  emitters: SseEmitter[]
  port: number
  /** A raw client of channel `c`. HTTP/1.0 has no chunks: everything after the head is the stream. */
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
    const open = (): SseEmitter => {
      const emitter = new SseEmitter(nodeSink(res), { heartbeat: 0, retry: false, ...options })
      emitters.push(emitter)
      return emitter
    }
    void hub.subscribe('c', open, { after, ...subscription }).then((answer) => {
      if (answer === 'finished') res.writeHead(204).end()
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
  it('gets stored events, then new ones, in one stream, each with its position as the id', async () => {
    const { hub, connect } = await backend()
    const before = await publish(hub, '1', '2')
    const client = connect()
    await client.until(/data: 2\n/)
    const after = await publish(hub, '3')
    const text = await client.until(/data: 3\n/)
    expect(data(text)).toEqual(['1', '2', '3'])
    expect(idsOf(text)).toEqual([...before, ...after])
  })

  it('can start after the stored events', async () => {
    const { hub, connect } = await backend({ from: 'now', greeting: 'hello' })
    const [, top] = await publish(hub, '1', '2')
    const client = connect()
    await client.until(/hello/)
    await publish(hub, '3')
    const text = await client.until(/data: 3\n/)
    expect(received(text)).toMatchObject([{ id: top, data: 'hello' }, { data: '3' }])
  })

  it('that saw only its greeting resumes from its start, and is greeted again without an id', async () => {
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

  it('that was cut off resumes after the last event it saw', async () => {
    const { hub, connect } = await backend()
    const positions = await publish(hub, '1', '2', '3', '4')
    const client = connect(positions[1])
    expect(data(await client.until(/data: 4\n/))).toEqual(['3', '4'])
  })

  it('that leaves before it is subscribed, or later, leaves nothing behind', async () => {
    const { hub, log, connect, emitters } = await backend()
    const client = connect()
    await publish(hub, '1')
    await client.until(/data: 1\n/)
    expect(hub.size).toBe(1)
    client.socket.destroy()
    await eventually(() => expect(hub.size).toBe(0))
    const [gone] = emitters
    const calls = [vi.spyOn(log, 'read'), vi.spyOn(log, 'watch')]
    if (gone) await hub.subscribe('c', () => gone, { after: null })
    await turn()
    await turn()
    expect(hub.size).toBe(0)
    for (const call of calls) expect(call).not.toHaveBeenCalled()
  })

  it('needs no room in the log, and takes none', async () => {
    const log = new MemoryEventLog({ maxChannels: 1 })
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    await hub.publish('c', { data: '1' })
    const before = log.bytes
    for (let n = 0; n < 100; n++)
      expect(await hub.subscribe(`${n}`, () => emitterThat({}), { after: n % 2 ? 'e:1' : null })).toBe('open')
    expect([hub.size, log.size, log.bytes]).toEqual([100, 1, before])
  })

  it('that saw only its greeting in a channel without events resumes from 0, with all events since', async () => {
    const { hub, connect } = await backend({ greeting: 'hello' })
    const first = connect()
    const [greeting] = received(await first.until(/hello\n\n/))
    expect(greeting).toEqual({ id: '0', data: 'hello' })
    first.socket.destroy()
    const positions = await publish(hub, '1', '2')
    const second = connect('0')
    expect(idsOf(await second.until(/data: 2\n/))).toEqual([undefined, ...positions])
  })

  it('that came after an end gets the events after it, and again when it reconnects', async () => {
    const { hub, connect } = await backend({ greeting: 'hello' })
    await publish(hub, 'old')
    const end = await hub.over('c')
    const first = connect()
    const [greeting] = received(await first.until(/hello\n\n/))
    expect(greeting?.['id']).toBe(`${end?.replace(/:.*/, '')}+`)
    await publish(hub, 'new')
    expect(data(await first.until(/data: new\n/))).toEqual(['hello', 'new'])
    expect(data(await connect(greeting?.['id']).until(/data: new\n/))).toEqual(['hello', 'new'])
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
    for (const taken of writes) await hub.subscribe('c', () => emitterThat({ write: taken }), { after: null })
    await turn()
    const read = vi.spyOn(log, 'read')
    await publish(hub, '1', '2', '3')
    await eventually(() => expect(writes.map((taken) => taken.length)).toEqual([1, 1, 1]))
    expect(writes[1]?.[0]).toBe(writes[0]?.[0])
    expect(writes[2]?.[0]).toBe(writes[0]?.[0])
    expect(read).toHaveBeenCalledTimes(1)
  })

  it('sends a burst of a few hundred small events in one write, even if its producer awaits each', async () => {
    const { hub, port } = await backend()
    const client = new Client(port, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await publish(hub, 'first')
    await client.until(/first/)
    for (let round = 0; round < 3; round++) {
      const before = client.received.length
      for (let n = 0; n < 200; n++) await hub.publish('c', { data: `<${n}>${'.'.repeat(60)}` })
      const text = (await client.until(/<199>\.+\n\n\r\n$/)).slice(before)
      expect(text.match(/^[0-9a-f]+\r\n/gm)).toHaveLength(1)
      client.received = ''
    }
  })

  it.each([
    ['a ring of 100', { maxEvents: 100 }, '.'],
    ['a ring of 1', { maxEvents: 1 }, '.'],
    ['a ring of 64 KiB', { maxBytes: 65_536 }, '.'.repeat(1_000)],
    ['lines, which are long on the wire', { maxBytes: 2 ** 20 }, '\n'.repeat(1_000)],
    ['events larger than a batch', { maxEvents: 10 }, '\n'.repeat(12_000)],
  ])('is paused for by a producer that awaits, which overtakes nobody: %s', async (_name, options, padding) => {
    const log = new MemoryEventLog(options)
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const write: Uint8Array[] = []
    await hub.subscribe('c', () => emitterThat({ write }), { after: null, from: 'now' })
    await turn()
    await turn()
    for (let n = 0; n < 1_000; n++) await hub.publish('c', { data: `<${n}>${n % 3 === 0 ? '' : padding}` })
    await hub.over('c')
    await eventually(() => expect(Buffer.concat(write).toString()).toContain('event: close'))
    const found = Buffer.concat(write)
      .toString()
      .match(/stream-reset|<\d+>/g)
    expect(found).toEqual(Array.from({ length: 1_000 }, (_, n) => `<${n}>`))
  })

  it('pauses a producer that awaits, so that it overtakes no socket', async () => {
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
  it('sends every subscriber the remaining events and close, and ends its stream', async () => {
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

  it('answers 204 to a client that saw the end, sends the rest to one that did not, and new events to a newcomer', async () => {
    const { hub, connect } = await backend()
    const [first] = await publish(hub, 'old')
    const end = await hub.over('c')
    await publish(hub, 'new')
    expect(await connect(end).toEnd()).toMatch(/^HTTP\/1\.1 204 /)
    expect(received(await connect(first).toEnd())).toMatchObject([{ event: 'close', id: end }])
    const newcomer = connect()
    expect(data(await newcomer.until(/new/))).toEqual(['new'])
  })

  it('ends a stream whose client had seen the end, if the log could not say so in time', async () => {
    const { hub, log, connect } = await backend({}, { onFailure: () => undefined })
    await publish(hub, '1')
    const end = await hub.over('c')
    vi.spyOn(log, 'read').mockRejectedValueOnce(new Error('no connection'))
    expect(received(await connect(end).toEnd())).toEqual([])
  })

  it('reaches subscribers that wait for a first event; without any there is nothing to end', async () => {
    const { hub, connect } = await backend()
    expect(await hub.over('c')).toBe(null)
    const client = connect()
    await eventually(() => expect(hub.size).toBe(1))
    const end = await hub.over('c')
    expect(received(await client.toEnd())).toMatchObject([{ event: 'close', id: end }])
  })

  it('ends a channel without events once, however often it is called before its subscribers are gone', async () => {
    const { hub, log, connect } = await backend({ greeting: 'hello' })
    const client = connect()
    await client.until(/hello\n\n/)
    const overs = await Promise.all(Array.from({ length: 5 }, () => hub.over('c')))
    expect(overs).toEqual([expect.any(String), null, null, null, null])
    await client.toEnd()
    // A new subscriber waits for the events after that end, and can be ended too.
    const next = connect()
    await next.until(/hello\n\n/)
    const again = await Promise.all([hub.over('c'), hub.over('c')])
    expect(again).toEqual([expect.any(String), null])
    expect(received(await next.toEnd()).at(-1)).toMatchObject({ event: 'close', id: again[0] })
    expect(log.read('c', null, { maxBytes: 0 }).top).toBe(again[0]?.replace(/:.*/, '+'))
  })
})

describe('a gap', () => {
  it.each([
    ['no position', 'junk'],
    ['a number', '-1'],
    ['foreign', 'e:1'],
    ['after the end of a foreign one', 'e+'],
    ['negative', '<e>:-1'],
    ['a position and more', '<e>:1 junk'],
    ['huge', `${'9'.repeat(9_000)}:1`],
  ])('is one stream-reset, then all that is kept, then what is new, for an id that is %s', async (_name, id) => {
    const { hub, connect } = await backend({ greeting: 'hello' })
    const [oldest = '', latest = ''] = await publish(hub, '1', '2')
    const requested = id.replace('<e>', latest.replace(/:.*/, ''))
    const client = connect(requested)
    await client.until(/data: 2\n/)
    await publish(hub, '3')
    const [, reset, ...more] = received(await client.until(/data: 3\n/))
    expect(reset).toMatchObject({ event: 'stream-reset', id: oldest.replace(/1$/, '0') })
    expect(JSON.parse(reset?.['data'] ?? '')).toEqual({
      reason: expect.stringMatching(/^(malformed|epoch)$/) as string,
      requested: requested.slice(0, 100),
      oldest,
      latest,
    })
    expect(more).toMatchObject([{ data: '1', id: oldest }, { data: '2', id: latest }, { data: '3' }])

    const again = connect(reset?.['id'])
    expect(data(await again.until(/data: 3\n/))).toEqual(['hello', '1', '2', '3'])
  })

  it.each(['<e>:3', '<e>:9007199254740993', '<e>+'])(
    'of a log that was set back is one stream-reset at the top, and only what is new: %s',
    async (id) => {
      const { hub, connect } = await backend()
      const [oldest, latest = ''] = await publish(hub, '1', '2')
      const requested = id.replace('<e>', latest.replace(/:.*/, ''))
      const client = connect(requested)
      await client.until(/\n\n/)
      await publish(hub, '3')
      const [reset, ...more] = received(await client.until(/data: 3\n/))
      expect(reset).toMatchObject({ event: 'stream-reset', id: latest })
      expect(JSON.parse(reset?.['data'] ?? '')).toEqual({ reason: 'ahead', requested, oldest, latest })
      expect(more).toMatchObject([{ data: '3' }])
      expect(data(await connect(reset?.['id']).until(/data: 3\n/))).toEqual(['3'])
    },
  )

  it('in an empty channel is one stream-reset to its beginning', async () => {
    const { hub, connect } = await backend()
    const client = connect('e:7')
    await client.until(/stream-reset[^]*\n\n/)
    await publish(hub, '1')
    const [reset, ...more] = received(await client.until(/data: 1\n/))
    expect(reset?.['id']).toBe('0')
    expect(JSON.parse(reset?.['data'] ?? '')).toEqual({ reason: 'epoch', requested: 'e:7', oldest: null, latest: '0' })
    expect(more).toMatchObject([{ data: '1' }])
  })

  it('after a restart loses nothing for late clients: 1,000 get one reset, then the stored events', async () => {
    const before = await backend()
    const [last = ''] = await publish(before.hub, 'before')
    const after = await backend()
    await publish(after.hub, 'pushed before they were back')
    const writes = Array.from({ length: 1_000 }, (): Uint8Array[] => [])
    const read = vi.spyOn(after.log, 'read')
    for (const write of writes) void after.hub.subscribe('c', () => emitterThat({ write }), { after: last })
    const eventsIn = (write: Uint8Array[]): unknown[] =>
      eventsOf(Buffer.concat(write).toString()).map(({ event, data }) => event ?? data)
    await eventually(() =>
      expect(writes.map(eventsIn)).toEqual(writes.map(() => ['stream-reset', 'pushed before they were back'])),
    )
    expect(read.mock.calls.length).toBeLessThan(10)
  })

  it('is reported to a client whose events are no longer stored', async () => {
    const { hub, connect } = await backend({}, { maxEvents: 2 })
    const positions = await publish(hub, '1', '2', '3', '4')
    const client = connect(positions[0])
    const [reset, ...kept] = received(await client.until(/data: 4\n/))
    expect(JSON.parse(reset?.['data'] ?? '')).toEqual({
      reason: 'trimmed',
      requested: positions[0],
      oldest: positions[2],
      latest: positions[3],
    })
    expect(kept).toMatchObject([{ id: positions[2] }, { id: positions[3] }])
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

  it('loses no stored event when it reads again', async () => {
    const server = await backend({}, { maxBytes: 64 * 2 ** 20 })
    const { client, positions } = await stalled(server)
    const end = await server.hub.over('c')
    client.socket.resume()
    expect(idsOf(await client.toEnd())).toEqual([...positions, end])
  })

  it('gets one reset if its missed events are no longer stored, and continues', async () => {
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
    // The reset, and everything after it.
    expect(ids).toEqual([...positions.slice(0, at), ...positions.slice(-41), last, end])
    expect(JSON.parse(events[at]?.['data'] ?? '')).toMatchObject({ reason: 'trimmed', requested: ids[at - 1] })
  })

  it('costs a position instead of a queue: 100 of them, 50 MB of events, under 20 MB of memory, and the others get everything', async () => {
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
    await hub.subscribe('c', () => emitterThat({ throws: error, failed }), { after: null })
    await hub.subscribe('c', () => emitterThat({ write: taken }), { after: null })
    await publish(hub, '1')
    await eventually(() => expect(taken).toHaveLength(1))
    expect(failed).toEqual([error])
  })

  it('of the log that it is closed ends its streams', async () => {
    const log = new MemoryEventLog()
    const hub = new Hub(log)
    const failed: unknown[] = []
    await hub.subscribe('c', () => emitterThat({ failed }), { after: null })
    log.close()
    await eventually(() => expect(failed).toMatchObject([{ name: 'EventLogError', kind: 'closed' }]))
  })
})

describe('a log that fails', () => {
  interface Faulty {
    hub: Hub
    log: MemoryEventLog
    read: MockInstance<EventLog['read']>
    append: MockInstance<EventLog['append']>
    onFailure: Mock
    /** The text that each subscriber received. */
    subscribe: (count: number, options?: Partial<SubscribeOptions>) => Promise<() => string[]>
    failed: unknown[]
  }

  function faulty(options: HubOptions = {}): Faulty {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const onFailure = vi.fn()
    const hub = new Hub(log, { deadline: 20, retryDelay: 1, onFailure, ...options })
    const failed: unknown[] = []
    return {
      hub,
      log,
      onFailure,
      failed,
      // By their types, which are the contract's, results may come late.
      read: vi.spyOn(log as EventLog, 'read'),
      append: vi.spyOn(log as EventLog, 'append'),
      subscribe: async (count, subscription) => {
        const writes = Array.from({ length: count }, (): Uint8Array[] => [])
        for (const write of writes)
          await hub.subscribe('c', () => emitterThat({ write, failed }), { after: null, ...subscription })
        return () => writes.map((write) => Buffer.concat(write).toString())
      },
    }
  }
  const gone = new EventLogError('unavailable', 'The log cannot be reached.', 5)
  const dataOf = (texts: string[]): unknown[] => texts.map((text) => eventsOf(text).map((event) => event['data']))
  const never = async (): Promise<never> => new Promise(() => undefined)

  it.each([
    ['rejects', async () => Promise.reject(gone)],
    [
      'throws',
      () => {
        throw new Error('a bug')
      },
    ],
    ['never answers', never],
  ])('by a read that %s is asked again, and all its streams stay open and lose nothing', async (_how, fault) => {
    const { hub, read, subscribe, failed, onFailure } = faulty()
    const texts = await subscribe(500)
    await publish(hub, '1')
    await eventually(() => expect(dataOf(texts())).toEqual(texts().map(() => ['1'])))
    read.mockImplementation(fault)
    await publish(hub, '2')
    await eventually(() => expect(onFailure.mock.calls.length).toBeGreaterThan(3))
    // Subscribers that come meanwhile are admitted too.
    const late = await subscribe(1, { greeting: 'hello' })
    const back = await subscribe(1, { after: 'e:1', greeting: 'hello' })
    read.mockRestore()
    await eventually(() => expect(dataOf(texts())).toEqual(texts().map(() => ['1', '2'])))
    await eventually(() => expect(dataOf(late())).toEqual([['hello', '1', '2']]))
    await eventually(() => expect(dataOf(back())).toEqual([['hello', expect.stringContaining('epoch'), '1', '2']]))
    expect(failed).toEqual([])
    expect(hub.size).toBe(1)
  })

  it('is asked less and less often, and normally again once it is back', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { hub, read, subscribe } = faulty({ retryDelay: 100, deadline: 5_000 })
    await subscribe(100)
    await turn()
    const reads = async (ms: number): Promise<number> => {
      read.mockClear()
      for (let passed = 0; passed < ms; passed += 50) {
        await vi.advanceTimersByTimeAsync(50)
        await turn()
        await turn()
      }
      return read.mock.calls.length
    }
    read.mockRejectedValue(gone)
    await publish(hub, '1')
    await turn()
    const first = await reads(3_000)
    expect(first).toBeGreaterThan(3)
    expect(first).toBeLessThan(10)
    await reads(60_000)
    const later = await reads(30_000)
    expect(later).toBeGreaterThanOrEqual(5)
    expect(later).toBeLessThanOrEqual(12)
    read.mockReset()
    expect(await reads(10_000)).toBeLessThan(5)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('doubles nothing if an answer comes after it was asked again', async () => {
    const { hub, log, read, subscribe } = faulty()
    const texts = await subscribe(2)
    await turn()
    const late: (() => void)[] = []
    read.mockImplementationOnce(
      async (...args) =>
        new Promise((resolve) => {
          const batch = log.read('c', ...(args.slice(1) as [string | null, { maxBytes: number }]))
          late.push(() => resolve(batch))
        }),
    )
    await publish(hub, '1')
    await eventually(() => expect(dataOf(texts())).toEqual([['1'], ['1']]))
    expect(late).toHaveLength(1)
    for (const answer of late) answer()
    await publish(hub, '2')
    await eventually(() =>
      expect(dataOf(texts())).toEqual([
        ['1', '2'],
        ['1', '2'],
      ]),
    )
  })

  it('leaves no timer behind when its subscribers have left', async () => {
    const { hub, read } = faulty({ retryDelay: 100_000 })
    const left: (() => void)[] = []
    read.mockRejectedValue(gone)
    const emitter = {
      ...emitterThat({}),
      onCompletion: (callback: () => void) => {
        left.push(callback)
        return () => undefined
      },
    }
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    await hub.subscribe('c', () => emitter, { after: null })
    await eventually(() => expect(read).toHaveBeenCalled())
    await turn()
    for (const leave of left) leave()
    expect(hub.size).toBe(0)
    expect(timers()).toBeLessThanOrEqual(1) // The wait of this test.
  })

  it('to append: the hub retries once with a key, and reports the failure without one', async () => {
    const { hub, append, log } = faulty()
    append.mockRejectedValueOnce(gone)
    await expect(hub.publish('c', { data: '1' })).rejects.toBe(gone)
    append.mockImplementationOnce(never)
    await expect(hub.publish('c', { data: '1' })).rejects.toMatchObject({ kind: 'unavailable', retryAfter: 5 })
    // The append happened, but its answer was lost.
    append.mockImplementationOnce(async (...args) => {
      log.append(...args)
      return Promise.reject(gone)
    })
    append.mockImplementationOnce(never)
    const position = await hub.publish('c', { data: '2' }, { key: 'two' })
    expect(log.read('c', null, { maxBytes: 1e6 }).events).toMatchObject([{ position }])
    append.mockRejectedValue(gone)
    await expect(hub.publish('c', { data: '3' }, { key: 'three' })).rejects.toBe(gone)
    append.mockRejectedValue(new Error('a bug'))
    await expect(hub.publish('c', { data: '3' }, { key: 'three' })).rejects.toThrow('a bug')
  })

  it('to end: the hub reports the failure', async () => {
    const { hub, log } = faulty()
    vi.spyOn(log as EventLog, 'end').mockImplementationOnce(never)
    await expect(hub.over('c')).rejects.toMatchObject({ kind: 'unavailable' })
  })

  it('to watch: the hub reads it without being notified', async () => {
    const { hub, log, read, subscribe, onFailure } = faulty()
    const watch = vi.spyOn(log as EventLog, 'watch').mockReturnValueOnce(() => undefined)
    const texts = await subscribe(1)
    await eventually(() => expect(read).toHaveBeenCalled())
    await publish(hub, '1')
    await turn()
    expect(dataOf(texts())).toEqual([[]])
    watch.mock.calls[0]?.[1].onError(gone)
    expect(onFailure).toHaveBeenCalledWith(gone)
    await eventually(() => expect(dataOf(texts())).toEqual([['1']]))
  })

  it('is reported on the console, and not for every stream', async () => {
    const reported = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    onTestFinished(() => reported.mockRestore())
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log, { retryDelay: 1 })
    const read = vi.spyOn(log as EventLog, 'read').mockRejectedValue(gone)
    for (let n = 0; n < 10; n++) await hub.subscribe(`c${n}`, () => emitterThat({}), { after: null })
    await eventually(() => expect(read.mock.calls.length).toBeGreaterThan(30))
    expect(reported.mock.calls).toEqual([['The event log fails, and is tried again:', gone]])
  })
})

describe('reads', () => {
  /** A log whose reads take some turns of the event loop, and a record of its calls. */
  function slow(): { hub: Hub; log: MemoryEventLog; reads: () => number; atOnce: () => number } {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const read = log.read.bind(log)
    let [count, inFlight, most] = [0, 0, 0]
    vi.spyOn(log as EventLog, 'read').mockImplementation(async (...args) => {
      count += 1
      inFlight += 1
      most = Math.max(most, inFlight)
      for (let n = 0; n < 20; n++) await turn()
      inFlight -= 1
      return read(...args)
    })
    return { hub: new Hub(log), log, reads: () => count, atOnce: () => most }
  }

  it.each([
    ['newcomers', null],
    ['who resume', 'e:1'],
  ])('of 500 %s at once are a few, also while a slow one is in flight', async (_who, after) => {
    const { hub, log, reads, atOnce } = slow()
    log.append('c', { data: '1' })
    const writes: Uint8Array[][] = []
    const subscribe = (count: number): void => {
      for (let n = 0; n < count; n++) {
        const write: Uint8Array[] = []
        writes.push(write)
        void hub.subscribe('c', () => emitterThat({ write }), { after })
      }
    }
    subscribe(250)
    for (let n = 0; n < 5; n++) {
      await turn()
      subscribe(50)
    }
    await eventually(() =>
      expect(writes.filter((write) => Buffer.concat(write).includes('data: 1\n'))).toHaveLength(500),
    )
    expect(reads()).toBeLessThan(12)
    expect(atOnce()).toBeLessThan(4)
  })

  it('that began before an event was appended do not hide it from subscribers that wait for them', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const read = log.read.bind(log)
    const stale = vi.spyOn(log as EventLog, 'read').mockImplementation(async (...args) => {
      const batch = read(...args)
      for (let n = 0; n < 10; n++) await turn()
      return batch
    })
    const writes: Uint8Array[][] = [[], []]
    const subscribe = (write: Uint8Array[] = []): Promise<unknown> =>
      hub.subscribe('c', () => emitterThat({ write }), { after: null })
    await subscribe(writes[0])
    while (stale.mock.calls.length === 0) await turn()
    await hub.publish('c', { data: '1' })
    await subscribe(writes[1])
    await eventually(() =>
      expect(writes.map((write) => Buffer.concat(write).includes('data: 1\n'))).toEqual([true, true]),
    )
  })
})

describe('a channel with a snapshot', () => {
  const state = new Set<string>()
  const snapshot = async (): Promise<string> => {
    await turn()
    return [...state].join()
  }

  async function change(hub: Hub, ...names: string[]): Promise<string[]> {
    return Promise.all(
      names.map(async (name) => {
        state.add(name)
        return hub.publish('c', { data: name })
      }),
    )
  }

  it('gives a newcomer one, whose id is the position to continue from, and then the events after it', async () => {
    state.clear()
    const { hub, connect } = await backend({ snapshot, greeting: 'hello' })
    const [, top] = await change(hub, '1', '2')
    const client = connect()
    await client.until(/snapshot[^]*\n\n/)
    await change(hub, '3')
    expect(received(await client.until(/data: 3\n/))).toMatchObject([
      // Without an id: a client that saw only this has no state yet.
      { data: 'hello' },
      { event: 'snapshot', id: top, data: '1,2' },
      { data: '3' },
    ])
    expect(received(client.received)[0]).not.toHaveProperty('id')
    const back = connect(top)
    expect(data(await back.until(/data: 3\n/))).toEqual(['hello', '3'])
  })

  it('gives one instead of a reset, both on connecting and to a subscriber that has fallen behind', async () => {
    state.clear()
    const { hub, connect } = await backend({ snapshot }, { maxEvents: 2 })
    const positions = await change(hub, '1', '2', '3', '4')
    for (const after of ['junk', 'e:1', positions[0] ?? '']) {
      const events = received(await connect(after).until(/snapshot[^]*\n\n/))
      expect(events).toMatchObject([{ event: 'snapshot', id: positions[3], data: '1,2,3,4' }])
    }
  })

  it('gives one where the log may lack events, and without a snapshot continues', async () => {
    state.clear()
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const read = log.read.bind(log)
    log.read = (channel, after, limits) => {
      const batch = read(channel, after, limits)
      return after !== null && batch.events.length > 0 ? { ...batch, mayLack: true } : batch
    }
    const hub = new Hub(log)
    const [first] = await change(hub, '1', '2')
    const [stateful, plain]: [Uint8Array[], Uint8Array[]] = [[], []]
    void hub.subscribe('c', () => emitterThat({ write: stateful }), { after: first ?? '', snapshot })
    void hub.subscribe('c', () => emitterThat({ write: plain }), { after: first ?? '' })
    const text = (writes: Uint8Array[]): string => Buffer.concat(writes).toString()
    await eventually(() => expect([text(stateful), text(plain)].every((sent) => sent !== '')).toBe(true))
    expect(text(stateful)).toMatch(/^event: snapshot\nid: .*\ndata: 1,2\n\n$/)
    expect(text(plain)).toMatch(/^id: .*\ndata: 2\n\n$/)
  })

  it('before its first event has the beginning as its id', async () => {
    state.clear()
    const { hub, connect } = await backend({ snapshot })
    const client = connect()
    await client.until(/snapshot[^]*\n\n/)
    await change(hub, '1')
    expect(received(await client.until(/data: 1\n/))).toMatchObject([{ event: 'snapshot', id: '0' }, { data: '1' }])
  })

  it('asks for one for many newcomers', async () => {
    state.clear()
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const provider = vi.fn(snapshot)
    const writes = Array.from({ length: 500 }, (): Uint8Array[] => [])
    for (const write of writes)
      void hub.subscribe('c', () => emitterThat({ write }), { after: null, snapshot: provider })
    await eventually(() => expect(writes.filter((write) => write.length === 1)).toHaveLength(500))
    expect(provider).toHaveBeenCalledTimes(1)
    expect(writes[1]?.[0]).toBe(writes[0]?.[0])
  })

  it('asks again if its provider rejects or does not answer', async () => {
    state.clear()
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const onFailure = vi.fn()
    const hub = new Hub(log, { deadline: 20, retryDelay: 1, onFailure })
    const provider = vi
      .fn(snapshot)
      .mockRejectedValueOnce(new Error('no database'))
      .mockImplementationOnce(async () => new Promise(() => undefined))
    const write: Uint8Array[] = []
    await hub.subscribe('c', () => emitterThat({ write }), { after: null, snapshot: provider })
    await change(hub, '1')
    await eventually(() => expect(Buffer.concat(write).toString()).toContain('snapshot'))
    expect(onFailure.mock.calls.map(([error]) => (error as Error).name)).toEqual(['Error', 'EventLogError'])
    expect(eventsOf(Buffer.concat(write).toString())[0]).toMatchObject({ event: 'snapshot', data: '1' })
  })

  it('that is older than the channel says so, and is followed by all that came since', async () => {
    let placed = { data: 'nothing', position: '0' }
    const { hub, connect } = await backend({ snapshot: () => Promise.resolve(placed) })
    const [first = '', second = '', third = ''] = await publish(hub, '1', '2', '3')
    const whole = await connect().until(/data: 3\n/)
    expect(received(whole)).toMatchObject([{ id: '0', data: 'nothing' }, { id: first }, { id: second }, { id: third }])
    placed = { data: '1,2', position: second }
    const client = connect()
    expect(received(await client.until(/data: 3\n/))).toEqual([
      { event: 'snapshot', id: second, data: '1,2' },
      { id: third, data: '3' },
    ])
  })

  it('that is older than what is kept is asked for again, later each time, until it can be continued', async () => {
    const asked: number[] = []
    let placed = { data: 'old', position: 'of-another-epoch:7' }
    const snapshot = () => {
      asked.push(performance.now())
      return Promise.resolve(placed)
    }
    const { hub, connect } = await backend({ snapshot }, { retryDelay: 20, onFailure: () => undefined })
    const [position = ''] = await publish(hub, '1')
    const client = connect()
    await eventually(() => expect(asked.length).toBeGreaterThan(4))
    const [start = 0, , , end = 0] = asked
    expect(end - start).toBeGreaterThanOrEqual(10 + 20 + 40 - 1)
    placed = { data: 'new', position }
    await publish(hub, '2')
    expect(received(await client.until(/data: 2\n/)).map((event) => event['data'])).toEqual(['new', '2'])
  })

  it('that the log may lack events after is asked for again, later each time, and sent once', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log, { retryDelay: 20, onFailure: () => undefined })
    const [first = '', second = ''] = await publish(hub, '1', '2')
    const read = log.read.bind(log)
    log.read = (channel, after, limits) => {
      const batch = read(channel, after, limits)
      return after === first ? { ...batch, mayLack: true } : batch
    }
    const placed = vi.fn(() => ({ data: 'state', position: placed.mock.calls.length > 4 ? second : first }))
    const write: Uint8Array[] = []
    void hub.subscribe('c', () => emitterThat({ write }), { after: null, snapshot: placed })
    await eventually(() => expect(write).not.toEqual([]))
    expect(placed).toHaveBeenCalledTimes(5)
    await publish(hub, '3')
    await eventually(() => expect(write).toHaveLength(2))
    expect(
      Buffer.concat(write)
        .toString()
        .match(/event: snapshot/g),
    ).toHaveLength(1)
  })
})

/** An emitter without a socket, which accepts everything. */
describe('an emitter that leaves a channel', () => {
  it('gets no more of its events, stays open, and can subscribe again', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    const emitters: SseEmitter[] = []
    const port = await serve((_req, res) => void emitters.push(new SseEmitter(nodeSink(res), { retry: false })))
    const client = new Client(port, 'GET / HTTP/1.0\r\n\r\n')
    await client.until(/\r\n\r\n/)
    const [emitter] = emitters as [SseEmitter]
    const stay = new AbortController()
    const leave = new AbortController()
    await hub.subscribe('c', () => emitter, { after: null, signal: leave.signal })
    await hub.subscribe('d', () => emitter, { after: null, signal: stay.signal })
    const [last] = await publish(hub, '1')
    await client.until(/data: 1\n\n/)

    leave.abort()
    expect(hub.size).toBe(1)
    await publish(hub, '2')
    await hub.publish('d', { data: 'of d' })
    await client.until(/data: of d\n\n/)
    expect(emitter.ended).toBe(false)

    await hub.subscribe('c', () => emitter, { after: last ?? null })
    await client.until(/data: 2\n\n/)
    stay.abort()
    emitter.complete()
    expect(hub.size).toBe(0)
    expect(data(await client.toEnd())).toEqual(['1', 'of d', '2'])
  })

  it('while the log is read for it gets nothing', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    await publish(hub, '1')
    const read = log.read.bind(log)
    let answer: (() => void) | undefined
    vi.spyOn(log, 'read').mockImplementation(
      (...args) => new Promise((resolve) => (answer = () => resolve(read(...args)))) as never,
    )
    const write: Uint8Array[] = []
    const leave = new AbortController()
    await hub.subscribe('c', () => emitterThat({ write }), { after: null, signal: leave.signal })
    await vi.waitFor(() => expect(answer).toBeDefined())
    leave.abort()
    answer?.()
    await turn()
    expect(write).toEqual([])
    expect(hub.size).toBe(0)
  })

  it('before it has subscribed is not served', async () => {
    const log = new MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    await hub.subscribe('c', () => emitterThat({}), { after: null, signal: AbortSignal.abort() })
    expect(hub.size).toBe(0)
  })
})

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
    ended: false,
    writable: true,
    write(bytes: Uint8Array): boolean {
      if (throws) throw throws
      write.push(bytes)
      return true
    },
    onDrain: () => () => undefined,
    onCompletion: () => () => undefined,
    complete: () => undefined,
    completeWithError(error: unknown): void {
      failed.push(error)
      emitter.writable = false
    },
  }
  return emitter
}

/** A client that reads everything, remembers only the last offset, and fails on a gap. */
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

/** Bytes in use, after garbage collection. */
function memory(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
