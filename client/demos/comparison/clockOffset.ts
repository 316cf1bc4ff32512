/** How many requests are remembered. At one per second, this limits the age of the best estimate. */
const SAMPLES = 30

/** The page's clock: milliseconds since the epoch, with decimals. */
export function pageClock(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * How far the server's clock is ahead of the page's. The server reads its clock at some moment between a request and its response. Assuming
 * the middle is wrong by at most half the round trip, so the shortest round trip gives the best estimate.
 */
export class ClockOffset {
  #samples: { roundTrip: number; offset: number }[] = []

  /** Adds a request: when it was sent and answered by the page's clock, and the server's clock in the response. All in milliseconds. */
  add(sent: number, answered: number, server: number): void {
    const sample = { roundTrip: answered - sent, offset: server - (sent + answered) / 2 }
    this.#samples = [...this.#samples, sample].slice(-SAMPLES)
  }

  /** Milliseconds; 0 before the first request. */
  get offset(): number {
    return this.#samples.reduce((best, sample) => (sample.roundTrip < best.roundTrip ? sample : best), {
      roundTrip: Infinity,
      offset: 0,
    }).offset
  }
}
