import type { IncrementResponse, Store } from 'express-rate-limit'

/** Counts each client's requests per window of time, by the monotonic clock: the library's own store uses the wall clock. */
export class RateWindow implements Store {
  readonly #length: number
  /** The window that ends first comes first. */
  readonly #windows = new Map<string, { hits: number; end: number }>()

  /** Milliseconds. */
  constructor(length: number) {
    this.#length = length
  }

  increment(client: string): IncrementResponse {
    const now = performance.now()
    for (const [other, { end }] of this.#windows) {
      if (end > now) break
      this.#windows.delete(other)
    }
    const window = this.#windows.get(client) ?? { hits: 0, end: now + this.#length }
    window.hits += 1
    this.#windows.set(client, window)
    // The library subtracts the wall clock's time again.
    return { totalHits: window.hits, resetTime: new Date(Date.now() + window.end - now) }
  }

  decrement(client: string): void {
    const window = this.#windows.get(client)
    if (window) window.hits -= 1
  }

  resetKey(client: string): void {
    this.#windows.delete(client)
  }
}
