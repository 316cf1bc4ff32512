/** Milliseconds that a lane shows. */
export const SPAN = 10_000

/** The most lost events shown for one gap. */
const MAX_LOST = 200

export interface LaneEvent {
  n: number
  /** When the server created it, and when it arrived. */
  made: number
  arrived: number
}

/** A request or a connection, from start to end. */
interface Period {
  from: number
  /** Infinity while it lasts. */
  to: number
}

/** One technique's last seconds, to be drawn. All times are by the page's clock. */
export class Lane {
  events: LaneEvent[] = []
  requests: Period[] = []
  connections: Period[] = []
  /** When the lost events were created. */
  lost: number[] = []
  cuts: number[] = []
  #last: Pick<LaneEvent, 'n' | 'made'> | null = null

  arrived(n: number, made: number, arrived: number): void {
    const last = this.#last
    if (last && n <= last.n) return
    const missing = last ? n - last.n - 1 : 0
    // Their times are unknown: spread evenly between their neighbours, since the source's rate is steady.
    for (let i = 1; last && i <= Math.min(missing, MAX_LOST); i++)
      this.lost.push(last.made + ((made - last.made) * i) / (missing + 1))
    this.#last = { n, made }
    this.events.push({ n, made, arrived })
  }

  /** The next event counts as the first: nothing before it is lost. */
  begin(): void {
    this.#last = null
  }

  connected(isOpen: boolean, at: number): void {
    const newest = this.connections.at(-1)
    if (newest?.to === Infinity) newest.to = at
    if (isOpen) this.connections.push({ from: at, to: Infinity })
  }

  clear(): void {
    this.events = []
    this.requests = []
    this.lost = []
    this.cuts = []
    this.connections = this.connections.filter(({ to }) => to === Infinity)
  }

  /** Drops everything that is no longer shown. */
  forget(now: number): void {
    const start = now - SPAN
    this.events = this.events.filter(({ arrived }) => arrived >= start)
    this.requests = this.requests.filter(({ to }) => to >= start)
    this.connections = this.connections.filter(({ to }) => to >= start)
    this.lost = this.lost.filter((made) => made >= start)
    this.cuts = this.cuts.filter((at) => at >= start)
  }
}
