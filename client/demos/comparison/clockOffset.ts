/** Requests that are remembered: as old as the newest estimate may be, when they are made once a second. */
const KEPT = 30

/** The page's clock: milliseconds since the epoch, and parts of them. */
export function pageClock(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * How far the server's clock is ahead of the page's. The server read its own somewhere between a request and its answer: half
 * way, it is assumed, and that is wrong by half of the round trip at most. So the shortest one counts.
 */
export class ClockOffset {
  #samples: { roundTrip: number; offset: number }[] = []

  /** A request: when it was sent and answered by the page's clock, and what the server's clock said. All in milliseconds. */
  add(sent: number, answered: number, server: number): void {
    const sample = { roundTrip: answered - sent, offset: server - (sent + answered) / 2 }
    this.#samples = [...this.#samples, sample].slice(-KEPT)
  }

  /** Milliseconds; 0 before the first request. */
  get offset(): number {
    return this.#samples.reduce((best, sample) => (sample.roundTrip < best.roundTrip ? sample : best), {
      roundTrip: Infinity,
      offset: 0,
    }).offset
  }
}
