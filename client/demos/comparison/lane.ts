/** Milliseconds that a picture shows. */
export const SPAN = 10_000

/** Lost events that are shown of one gap, at most. */
const MAX_LOST = 200

export interface LaneEvent {
  n: number
  /** When it happened at the server, and when it arrived. */
  made: number
  arrived: number
}

/** A request or a connection, from its beginning to its end. */
interface Period {
  from: number
  /** Infinity while it lasts. */
  to: number
}

/** What one technique did in the last seconds, to be drawn. All times are the page's clock. */
export class Lane {
  events: LaneEvent[] = []
  requests: Period[] = []
  connections: Period[] = []
  /** When those events happened that never arrived. */
  lost: number[] = []
  cuts: number[] = []
  #last: Pick<LaneEvent, 'n' | 'made'> | null = null

  arrived(n: number, made: number, arrived: number): void {
    const last = this.#last
    if (last && n <= last.n) return
    const missing = last ? n - last.n - 1 : 0
    // Nobody has said when they happened: evenly between their neighbours, as a source with a steady rate makes them.
    for (let i = 1; last && i <= Math.min(missing, MAX_LOST); i++)
      this.lost.push(last.made + ((made - last.made) * i) / (missing + 1))
    this.#last = { n, made }
    this.events.push({ n, made, arrived })
  }

  /** The next event is the first: nothing before it is lost. */
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

  /** Forgets what is no longer shown. */
  forget(now: number): void {
    const start = now - SPAN
    this.events = this.events.filter(({ arrived }) => arrived >= start)
    this.requests = this.requests.filter(({ to }) => to >= start)
    this.connections = this.connections.filter(({ to }) => to >= start)
    this.lost = this.lost.filter((made) => made >= start)
    this.cuts = this.cuts.filter((at) => at >= start)
  }
}
