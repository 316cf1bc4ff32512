import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Position } from './eventLog'
import { MemoryEventLog, type MemoryEventLogOptions } from './memoryEventLog'

const all = 1e9

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

  it('keeps 1,000 events and 4 MiB unless told otherwise', () => {
    const log = create()
    push(log, 'many', 1_100)
    expect(kept(log, 'many')).toHaveLength(1_000)
    push(log, 'large', 12, 2 ** 19 - 1_000)
    expect(kept(log, 'large')).toHaveLength(8)
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
    log.watch('c', () => undefined)
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

  it('lets a channel go when it was unused for its age, and a cursor into it has a gap', () => {
    const { log, clock } = aged()
    const [position] = push(log, 'c', 1)
    clock.now = 100
    expect(reasonOf(log, 'c', position)).toBe('epoch')
  })

  it('keeps a channel that is watched, and for its age after the last watcher left', () => {
    const { log, clock } = aged()
    const [position] = push(log, 'c', 1)
    const stop = [log.watch('c', () => undefined), log.watch('c', () => undefined)]
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

  it('sweeps what nobody asks for any more, without keeping the process alive', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const log = create()
    push(log, 'c', 10)
    log.end('c', { event: 'close' })
    push(log, 'c', 10)
    log.read('empty', null, 0)
    vi.advanceTimersByTime(599_000)
    expect(log.size).toBe(2)
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

  it('refuses one channel too many, to publishers and to readers, and serves those that are', () => {
    const { log, clock } = aged({ maxChannels: 2 })
    push(log, 'a', 1)
    log.read('b', null, 0)
    expect(() => push(log, 'c', 1)).toThrow(refused('channels'))
    expect(() => log.read('c', null, 0)).toThrow(refused('channels'))
    expect(() => log.read('c', 'e:1', 0)).toThrow(refused('channels'))
    push(log, 'b', 1)
    log.end('b', { event: 'close' })
    push(log, 'b', 1)
    clock.now = 100
    log.read('a', 'e:1', 0)
    expect(log.size).toBe(2)
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
    while (log.bytes <= 18_900) push(log, 'b', 1)
    expect(() => log.read('c', null, 0)).toThrow(refused('bytes'))
  })

  it('lets a full ring go on, and a channel end, when all channels together are full', () => {
    const log = create({ maxTotalBytes: 10_000, maxEvents: 5 })
    push(log, 'a', 5, 1_200)
    expect(() => push(log, 'b', 1, 1_200)).toThrow(refused('bytes'))
    const positions = push(log, 'a', 5, 1_200)
    expect(kept(log, 'a')).toEqual(positions)
    expect(log.end('a', { event: 'close' })).not.toBe(null)
  })

  it('counts epochs that are over, so that ending a channel again and again is bounded too', () => {
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
