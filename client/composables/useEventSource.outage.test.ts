/** Many clients lose one server: all come back, but not all at once. Time and chance are simulated. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { useEventSource, type Transport, type TransportSink } from './useEventSource'

const CLIENTS = 400

let clock: Clock
let scope: EffectScope
let isUp: boolean
let requests: number[]
const connected = new Map<symbol, TransportSink>()

/** Refuses while the server is down, like a proxy or the network. */
const transport: Transport = (_request, sink) => {
  const client = Symbol()
  requests.push(Date.now())
  queueMicrotask(() => {
    if (isUp) {
      connected.set(client, sink)
      sink.open()
    } else if (requests.length % 2) sink.fail({ kind: 'http', message: 'Bad gateway.', status: 502 })
    else sink.fail({ kind: 'network', message: 'Refused.' })
  })
  return { listen: () => undefined, close: () => void connected.delete(client) }
}

function goDown(): void {
  isUp = false
  for (const sink of [...connected.values()]) sink.fail({ kind: 'network', message: 'Lost.' })
}

/** Fake timers for hundreds of clients. Vitest's take minutes, because they search all timers for each that fires. */
class Clock {
  now = 1_000_000
  #last = 0
  readonly #tasks = new Map<number, Map<number, () => void>>()
  readonly #due = new Map<number, number>()

  readonly setTimeout = (task: () => void, delay = 0): number => {
    const at = this.now + Math.max(1, Math.ceil(delay))
    const tasks = this.#tasks.get(at) ?? new Map<number, () => void>()
    this.#tasks.set(at, tasks.set(++this.#last, task))
    this.#due.set(this.#last, at)
    return this.#last
  }

  readonly clearTimeout = (timer: number): void => {
    this.#tasks.get(this.#due.get(timer) ?? 0)?.delete(timer)
    this.#due.delete(timer)
  }

  async advance(ms: number): Promise<void> {
    await new Promise(setImmediate)
    for (const end = this.now + ms; this.now < end;) {
      this.now++
      for (const [timer, task] of this.#tasks.get(this.now) ?? []) {
        this.#due.delete(timer)
        task()
      }
      if (this.#tasks.delete(this.now)) await new Promise(setImmediate)
    }
  }
}

/** A random generator, reproducible by a seed (mulberry32). */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

beforeEach(() => {
  clock = new Clock()
  vi.stubGlobal('setTimeout', clock.setTimeout)
  vi.stubGlobal('clearTimeout', clock.clearTimeout)
  vi.spyOn(Date, 'now').mockImplementation(() => clock.now)
  vi.spyOn(Math, 'random').mockImplementation(generator(1))
  scope = effectScope()
  isUp = true
  requests = []
  connected.clear()
})

afterEach(() => {
  scope.stop()
  expect(connected.size).toBe(0)
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

it.each([30, 60, 300])(
  'after an outage of %d s all of them are back, and no second sees more than a tenth',
  async (seconds) => {
    scope.run(() => {
      for (let n = 0; n < CLIENTS; n++) useEventSource('/sse', { transport }).start()
    })
    await clock.advance(10_000)
    expect(connected.size).toBe(CLIENTS)

    goDown()
    await clock.advance(seconds * 1_000)
    isUp = true
    const upAt = Date.now()
    requests = []
    // The longest delay there is.
    await clock.advance(30_000)
    expect(connected.size).toBe(CLIENTS)

    const perSecond = new Map<number, number>()
    for (const time of requests) {
      const second = Math.floor((time - upAt) / 1_000)
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1)
    }
    expect(requests).toHaveLength(CLIENTS)
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(CLIENTS / 10)
  },
)

it('after a deployment that restarts the server ten times, all of them are back', async () => {
  scope.run(() => {
    for (let n = 0; n < CLIENTS; n++) useEventSource('/sse', { transport }).start()
  })
  await clock.advance(10_000)
  for (let restart = 0; restart < 10; restart++) {
    goDown()
    await clock.advance(3_000)
    isUp = true
    await clock.advance(3_000)
  }
  await clock.advance(30_000)
  expect(connected.size).toBe(CLIENTS)
})
