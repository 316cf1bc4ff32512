/** How many requests are remembered, which bounds the age of the best estimate: one is made each second. */
const SAMPLES = 30

/** The page's clock: milliseconds since the epoch, and parts of them. */
export function pageClock(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * How far the server's clock is ahead of the page's. The server reads its clock at some moment between a request and its answer. Assuming
 * the middle is off by at most half the round trip, so the shortest round trip wins.
 */
export class ClockOffset {
  #samples: { roundTrip: number; offset: number }[] = []

  /** A request: when it was sent and answered by the page's clock, and what the server's clock said. All in milliseconds. */
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
