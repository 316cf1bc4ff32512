import { PAIRS, withPoint, type Pair, type Point, type RateEvent, type Rates } from '../../../shared/demos/live'

/** Milliseconds between two changes. */
const INTERVAL = 1_000

/** Where each walk begins, about which it stays. */
const START: Record<Pair, number> = { 'EUR/USD': 1.0842, 'GBP/USD': 1.2716, 'USD/CNY': 7.1128 }

/** Exchange rates that are made up: each walks at random, and is drawn back to where it began. */
export class Exchange {
  #rates: Record<Pair, Point[]>

  /** @param stored What `ratesAt` returned before. */
  constructor(now: number, stored?: Rates) {
    this.#rates = Object.fromEntries(PAIRS.map((pair) => [pair, [...(stored?.[pair] ?? [])]])) as unknown as Record<
      Pair,
      Point[]
    >
    if (!stored)
      for (let time = now - 60 * INTERVAL; time <= now; time += INTERVAL)
        for (const pair of PAIRS) this.walk(pair, time)
  }

  /** The last minute. Where nobody looked, nobody walked, so that is made up too. */
  ratesAt(now: number): Rates {
    for (const pair of PAIRS) {
      const last = this.#rates[pair].at(-1)?.time ?? now
      for (let time = Math.max(last, now - 60 * INTERVAL) + INTERVAL; time <= now; time += INTERVAL)
        this.walk(pair, time)
    }
    return this.#rates
  }

  /** One step of one rate. */
  walk(pair: Pair, time: number): RateEvent {
    const start = START[pair]
    const last = this.#rates[pair].at(-1)?.value ?? start
    const value = last + (start - last) * 0.02 + start * (Math.random() - 0.5) * 0.0012
    const point = { time, value: Math.round(value * 1e5) / 1e5 }
    this.#rates = { ...this.#rates, [pair]: withPoint(this.#rates[pair], point) }
    return { pair, ...point }
  }
}
