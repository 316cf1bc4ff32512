import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Position, Watcher } from './eventLog'
import { MemoryEventLog, type MemoryEventLogOptions } from './memoryEventLog'
import { Ring } from './ring'

const all = { maxBytes: 1e9 }
const none = { maxBytes: 0 }

const ignore: Watcher = { onAppend: () => undefined, onError: () => undefined }

function create(options: MemoryEventLogOptions = {}): MemoryEventLog {
  const log = new MemoryEventLog(options)
  onTestFinished(() => log.close())
  return log
}

/** A log with a clock that the test sets. */
function aged(options: MemoryEventLogOptions = {}): { log: MemoryEventLog; clock: { now: number } } {
  const clock = { now: 0 }
  return { log: create({ maxAge: 100, ...options, now: () => clock.now }), clock }
}

const push = (log: MemoryEventLog, channel: string, count: number, size = 1): Position[] =>
  Array.from({ length: count }, () => log.append(channel, { data: 'x'.repeat(size) }))
const kept = (log: MemoryEventLog, channel: string): Position[] =>
  log.read(channel, null, all).events.map(({ position }) => position)
const reasonOf = (log: MemoryEventLog, channel: string, after: string | undefined): string | undefined =>
  log.read(channel, after ?? '', all).gap?.reason

describe('a ring', () => {
  it('keeps the newest events up to its number, and a cursor before them has a gap', () => {
    const log = create({ maxEvents: 3 })
    const positions = push(log, 'c', 5)
    expect(kept(log, 'c')).toEqual(positions.slice(2))
    expect(reasonOf(log, 'c', positions[0])).toBe('trimmed')
    expect(log.read('c', positions[1] ?? '', all).events).toHaveLength(3)
    expect(log.read('c', positions[0] ?? '', all).gap).toMatchObject({ oldest: positions[2], latest: positions[4] })
  })

  it('keeps 1,000 events and 4 MiB by default', () => {
    const log = create()
    push(log, 'many', 1_100)
    expect(kept(log, 'many')).toHaveLength(1_000)
    push(log, 'large', 12, 2 ** 19 - 1_000)
    expect(kept(log, 'large')).toHaveLength(8)
  })

  it.each([100, 10_000])('touches only the events that it stores, drops or returns: of %i', (maxEvents) => {
    const log = create({ maxEvents, maxBytes: 2 ** 30, maxTotalBytes: 2 ** 30 })
    const positions = push(log, 'c', maxEvents)
    const look = vi.spyOn(Ring.prototype, 'at')
    onTestFinished(() => look.mockRestore())
    push(log, 'c', 1)
    expect(look.mock.calls.length).toBeLessThanOrEqual(6)
    look.mockClear()
    expect(log.read('c', positions.at(-2) ?? '', all).events).toHaveLength(2)
    expect(look.mock.calls.length).toBeLessThanOrEqual(6)
  })

  it('drops as many as a larger event needs', () => {
    const log = create({ maxBytes: 10_000 })
    push(log, 'c', 10)
    const [large] = push(log, 'c', 1, 7_900)
    expect(kept(log, 'c')).toEqual([large])
    expect(log.bytes).toBeLessThanOrEqual(10_000)
  })

  it('keeps an event for its age', () => {
    const { log, clock } = aged()
    const [first] = push(log, 'c', 1)
    clock.now = 60
    const [second] = push(log, 'c', 1)
    clock.now = 99
    expect(kept(log, 'c')).toEqual([first, second])
    clock.now = 100
    expect(kept(log, 'c')).toEqual([second])
    expect(log.read('c', first ?? '', all).events).toHaveLength(1)
  })

  it('has a gap for an old cursor when nothing is left, and none for one at the top', () => {
    const { log, clock } = aged()
    log.watch('c', ignore)
    const [first, second] = push(log, 'c', 2)
    clock.now = 1_000
    expect(log.read('c', first ?? '', all).gap).toEqual({
      reason: 'trimmed',
      requested: first,
      oldest: null,
      latest: second,
    })
    expect(reasonOf(log, 'c', second)).toBe(undefined)
  })

  it('refuses an event that is too large, and one that the ring could never hold', () => {
    const error = { name: 'EventLogError', kind: 'oversized', retryAfter: null }
    const log = create()
    expect(() => push(log, 'c', 1, 2 ** 19)).toThrow(expect.objectContaining(error))
    expect(() => push(create({ maxBytes: 4_096 }), 'c', 1, 4_000)).toThrow(expect.objectContaining(error))
    expect(log.size).toBe(0)
  })

  it('owns the memory of its frames, and no pool through them', () => {
    const log = create()
    push(log, 'c', 1)
    const frame = log.read('c', null, all).events[0]?.frame
    expect(frame?.buffer.byteLength).toBe(frame?.length)
  })
})

describe('retention', () => {
  it('keeps an epoch that is over, with the events that it had, for its age', () => {
    const { log, clock } = aged()
    const [first] = push(log, 'c', 2)
    clock.now = 90
    const last = log.end('c', { event: 'close' })
    clock.now = 189
    expect(log.read('c', first ?? '', all)).toMatchObject({ events: { length: 2 }, finished: true })
    clock.now = 190
    expect(reasonOf(log, 'c', last ?? '')).toBe('epoch')
  })

  it('forgets a channel that was unused for its age, and a cursor into it has a gap', () => {
    const { log, clock } = aged()
    const [position] = push(log, 'c', 1)
    clock.now = 100
    expect(reasonOf(log, 'c', position)).toBe('epoch')
  })

  it('keeps a channel that is watched, and for its age after the last watcher left', () => {
    const { log, clock } = aged()
    const [position] = push(log, 'c', 1)
    const stop = [log.watch('c', ignore), log.watch('c', ignore)]
    clock.now = 1_000
    stop[0]?.()
    clock.now = 2_000
    expect(reasonOf(log, 'c', position)).toBe(undefined)
    stop[1]?.()
    clock.now = 2_099
    expect(reasonOf(log, 'c', position)).toBe(undefined)
    clock.now = 2_100
    expect(reasonOf(log, 'c', position)).toBe('epoch')
  })

  it('keeps the end of a watched channel, so that a cursor there can be continued', () => {
    const { log, clock } = aged()
    const [first = ''] = push(log, 'c', 3)
    const last = log.end('c', { event: 'close' }) ?? ''
    const { after } = log.read('c', null, none)
    const stop = log.watch('c', ignore)
    clock.now = 1_000
    expect(log.read('c', after, all).gap).toBe(undefined)
    expect(log.read('c', last, all).finished).toBe(true)
    expect(log.read('c', first, all).gap).toMatchObject({ reason: 'trimmed', oldest: last, latest: last })
    const [next] = push(log, 'c', 1)
    expect(log.read('c', after, all)).toMatchObject({ events: [{ position: next }] })
    stop()
    clock.now = 2_000
    log.read('c', null, none)
    expect([log.size, log.bytes]).toEqual([0, 0])
  })

  it('has a gap at 0 when an epoch before the stored ones is forgotten', () => {
    const { log, clock } = aged()
    push(log, 'c', 1)
    log.end('c', { event: 'close' })
    clock.now = 60
    const [oldest] = push(log, 'c', 1)
    expect(log.read('c', '0', all).gap).toBe(undefined)
    clock.now = 110
    expect(log.read('c', '0', all)).toMatchObject({
      after: oldest?.replace(/1$/, '0'),
      gap: { reason: 'trimmed', oldest },
    })
  })

  it('forgets a key with its event', () => {
    const { log, clock } = aged({ maxEvents: 2 })
    const append = (key: string): Position => log.append('c', { data: key }, { key })
    const first = append('1')
    expect(append('1')).toBe(first)
    append('2')
    append('3')
    expect(append('1')).not.toBe(first)
    log.end('c', { event: 'close' })
    const second = append('4')
    clock.now = 100
    expect(append('4')).not.toBe(second)
    clock.now = 200
    log.read('c', null, none)
    expect(log.bytes).toBe(0)
  })

  it('sweeps unused channels, without keeping the process alive', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const log = create()
    push(log, 'c', 10)
    log.end('c', { event: 'close' })
    push(log, 'c', 10)
    vi.advanceTimersByTime(599_000)
    expect(log.size).toBe(1)
    vi.advanceTimersByTime(61_000)
    expect(log.size).toBe(0)
    expect(log.bytes).toBe(0)

    vi.useRealTimers()
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    create()
    expect(timers()).toBe(before)
  })

  it('stops its sweep when it is closed', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const log = create()
    expect(vi.getTimerCount()).toBe(1)
    log.close()
    expect(vi.getTimerCount()).toBe(0)
    expect(log.bytes).toBe(0)
  })
})

describe('capacity', () => {
  const refused = (kind: string): unknown =>
    expect.objectContaining({
      name: 'EventLogError',
      kind,
      retryAfter: 30,
      message: expect.stringMatching(/try again/) as string,
    })

  it('refuses one channel too many, and serves the existing ones', () => {
    const { log, clock } = aged({ maxChannels: 2 })
    push(log, 'a', 1)
    push(log, 'b', 1)
    expect(() => push(log, 'c', 1)).toThrow(refused('channels'))
    expect(log.read('c', null, none).top).toBe('0')
    log.end('b', { event: 'close' })
    push(log, 'b', 1)
    clock.now = 100
    log.read('a', 'e:1', none)
    expect(log.size).toBe(1)
    push(log, 'c', 1)
  })

  it('uses nothing for channels that are only read and watched', () => {
    const log = create({ maxChannels: 1, maxTotalBytes: 4_096 })
    for (let n = 0; n < 10_000; n++) {
      log.read(`c${n}`, n % 2 ? null : 'e:1', all)
      log.watch(`c${n}`, ignore)
    }
    expect([log.size, log.bytes]).toEqual([0, 0])
    push(log, 'a', 1)
  })

  it('refuses what would exceed the bytes of all channels, and evicts nothing for it', () => {
    const log = create({ maxTotalBytes: 20_000 })
    const positions = push(log, 'a', 5, 1_000)
    push(log, 'b', 5, 1_000)
    expect(() => push(log, 'b', 5, 1_000)).toThrow(refused('bytes'))
    expect(() => push(log, 'c', 1, 3_000)).toThrow(refused('bytes'))
    expect(kept(log, 'a')).toEqual(positions)
    expect(log.size).toBe(2)
    expect(log.bytes).toBeLessThanOrEqual(20_000)
  })

  it('still accepts events in a full ring, and ends channels, when all channels together are full', () => {
    const log = create({ maxTotalBytes: 10_000, maxEvents: 5 })
    push(log, 'a', 5, 1_200)
    expect(() => push(log, 'b', 1, 1_200)).toThrow(refused('bytes'))
    const positions = push(log, 'a', 5, 1_200)
    expect(kept(log, 'a')).toEqual(positions)
    expect(log.end('a', { event: 'close' })).not.toBe(null)
  })

  it.each([
    ['channels', { maxChannels: 1 }],
    ['bytes', { maxTotalBytes: 50_000 }],
  ])(
    'lets a channel end for those who wait for a first event when there is no room, out of a reserve: %s',
    (kind, options) => {
      const log = create(options)
      const pushAll = (): void => {
        for (let n = 0; n < 100; n++) log.append(`${n}`, { data: '' }, { client: `${n}` })
      }
      const endAll = (): void => {
        for (let n = 0; n < 100; n++)
          expect(log.end(`waiting ${n}`, { event: 'close' }, { waiting: ['0'], client: '0' })).not.toBe(null)
      }
      expect(pushAll).toThrow(refused(kind))
      const { size, bytes } = log
      expect(endAll).toThrow(refused(kind))
      expect(log.size).toBeGreaterThan(size)
      expect(log.bytes - bytes).toBeLessThan(5_000)
      expect(log.read('waiting 0', '0', all)).toMatchObject({ events: { length: 1 }, finished: true })
    },
  )

  it('counts ended epochs, so that ending a channel again and again is bounded too', () => {
    const log = create({ maxTotalBytes: 100_000 })
    const cycle = (): void => {
      push(log, 'c', 1)
      log.end('c', { event: 'close' })
    }
    expect(() => {
      for (let n = 0; n < 1_000; n++) cycle()
    }).toThrow(refused('bytes'))
  })
})

describe('a client', () => {
  const pushAs = (log: MemoryEventLog, client: string, channel: string, size = 1): Position =>
    log.append(channel, { data: 'x'.repeat(size) }, { client })
  const share = (kind: string): unknown =>
    expect.objectContaining({
      name: 'EventLogError',
      kind,
      retryAfter: 30,
      message: expect.stringMatching(/^You hold as many .* as are still free: .*, or try again later\.$/) as string,
    })
  /** Pushes until it is refused, each time to a channel of its own, and returns what the log then holds. */
  function fill(log: MemoryEventLog, client: string, kind: string): number {
    expect(() => {
      for (let n = 0; n < 100_000; n++) pushAs(log, client, `${client}-${n}`, 1_000)
    }).toThrow(share(kind))
    return kind === 'bytes' ? log.bytes : log.size
  }

  it('may hold as many bytes as are free, and heavy ones are refused before a newcomer', () => {
    const log = create({ maxTotalBytes: 2 ** 20 })
    expect(fill(log, 'a', 'bytes') / 2 ** 20).toBeCloseTo(1 / 2, 2)
    expect(fill(log, 'b', 'bytes') / 2 ** 20).toBeCloseTo(3 / 4, 2)
    expect(() => pushAs(log, 'a', 'more')).toThrow(share('bytes'))
    for (let n = 0; n < 20; n++) pushAs(log, `newcomer ${n}`, 'c', 1_000)
    expect(() => push(log, 'trusted', 50, 4_000)).not.toThrow()
  })

  it('may have begun as many channels as are free', () => {
    const log = create({ maxChannels: 100 })
    expect(fill(log, 'a', 'channels')).toBe(50)
    expect(fill(log, 'b', 'channels')).toBe(75)
    pushAs(log, 'newcomer', 'c')
    pushAs(log, 'a', 'a-0')
  })

  it('is charged by bytes on the wire', () => {
    const log = create()
    const before = (): number => log.bytes
    const start = before()
    log.append('c', { data: '\n'.repeat(60_000) }, { client: 'a' })
    expect(before() - start).toBeGreaterThan(7 * 60_000)
  })

  it('gets back the room of events that are gone: by age, by a full ring, by the end of a channel', () => {
    const { log, clock } = aged({ maxTotalBytes: 2 ** 20, maxChannels: 1_000, maxEvents: 10 })
    fill(log, 'a', 'bytes')
    clock.now = 100
    for (const name of Array.from({ length: 1_000 }, (_, n) => `a-${n}`)) log.read(name, null, none)
    expect([log.size, log.bytes]).toEqual([0, 0])
    for (let n = 0; n < 10_000; n++) pushAs(log, 'a', 'one', 1_000)
    expect(log.bytes).toBeLessThan(20_000)
    log.end('one', { event: 'close' })
    fill(log, 'a', 'bytes')
    clock.now = 200
    for (const name of ['one', ...Array.from({ length: 1_000 }, (_, n) => `a-${n}`)]) log.read(name, null, none)
    expect([log.size, log.bytes]).toEqual([0, 0])
  })
})

it('an event that no log of this size can hold is too large, and should not be retried', () => {
  const log = create({ maxTotalBytes: 65_536, maxFrameBytes: 2 ** 20 })
  const append = (): unknown => log.append('a', { data: 'x'.repeat(65_000) })
  expect(append).toThrow(expect.objectContaining({ kind: 'oversized', retryAfter: null }))
})
