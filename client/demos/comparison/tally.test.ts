import { describe, expect, it } from 'vitest'
import { percentile, Tally } from './tally'

describe('a tally', () => {
  it('counts each event once, and skipped ones as missed', () => {
    const tally = new Tally()
    for (const n of [5, 6, 6, 5, 9, 10]) tally.receive(n, 1)
    expect(tally).toMatchObject({ received: 4, missed: 2, newest: 10 })
  })

  it('misses nothing before its first event, even when it starts again', () => {
    const tally = new Tally()
    tally.receive(100, 1)
    tally.begin()
    tally.receive(200, 1)
    expect(tally).toMatchObject({ received: 2, missed: 0 })
  })

  it('counts from 0 after a reset, and still knows which event is next', () => {
    const tally = new Tally()
    tally.receive(1, 10)
    tally.receive(3, 10)
    tally.cuts = 2
    tally.reset()
    expect(tally).toMatchObject({ received: 0, missed: 0, cuts: 0 })
    expect(tally.delays()).toEqual({ median: null, p95: null, fresh: null })
    tally.receive(3, 1)
    tally.receive(5, 1)
    expect(tally).toMatchObject({ received: 1, missed: 1 })
  })

  it('has the delays of the newest 1,000 events, and of those since the last call', () => {
    const tally = new Tally()
    for (let n = 1; n <= 1_000; n++) tally.receive(n, 1)
    expect(tally.delays()).toEqual({ median: 1, p95: 1, fresh: 1 })
    for (let n = 1_001; n <= 1_600; n++) tally.receive(n, 7)
    expect(tally.delays()).toEqual({ median: 7, p95: 7, fresh: 7 })
    expect(tally.delays()).toEqual({ median: 7, p95: 7, fresh: null })
  })
})

describe('a percentile', () => {
  it.each([
    [[], 0.5, null],
    [[4], 0.95, 4],
    [[4], 0, 4],
    [[3, 1, 2], 0.5, 2],
    [[10, 9, 100], 1, 100],
    [[4, 3, 2, 1], 0.5, 2],
    [Array.from({ length: 100 }, (_, n) => n + 1), 0.95, 95],
    [[-2, -30, 10], 0.5, -2],
  ] as const)('of %o at %d is %s', (values, share, expected) => {
    expect(percentile(values, share)).toBe(expected)
  })
})
