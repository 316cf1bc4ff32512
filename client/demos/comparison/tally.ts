/** How many delays to keep, the newest ones. */
const WINDOW = 1_000

/** Counts what one technique delivered: how many events, how many were missed, and how late they were. */
export class Tally {
  received = 0
  /** Skipped numbers. */
  missed = 0
  /** How often the connection was cut while this technique was enabled. */
  cuts = 0
  /** The number of the newest event; null before the first. */
  newest: number | null = null
  #delays: number[] = []
  #fresh: number[] = []

  /** Counts an event in order of arrival. One that is not newer is a repeat, and is ignored. `delay` in milliseconds. */
  receive(n: number, delay: number): void {
    if (this.newest !== null) {
      if (n <= this.newest) return
      this.missed += n - this.newest - 1
    }
    this.newest = n
    this.received++
    this.#fresh.push(delay)
  }

  /** The next event counts as the first: earlier ones are not missed. */
  begin(): void {
    this.newest = null
  }

  /** Resets the counters and continues with the next event. */
  reset(): void {
    this.received = this.missed = this.cuts = 0
    this.#delays = []
    this.#fresh = []
  }

  /** Median and 95th percentile of the newest delays, and the median of those since the last call; null if there are none. */
  delays(): { median: number | null; p95: number | null; fresh: number | null } {
    const fresh = percentile(this.#fresh, 0.5)
    this.#delays = [...this.#delays, ...this.#fresh].slice(-WINDOW)
    this.#fresh = []
    return { median: percentile(this.#delays, 0.5), p95: percentile(this.#delays, 0.95), fresh }
  }
}

/** The smallest value that at least this share of the values does not exceed (nearest rank); null if there are none. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null
}
