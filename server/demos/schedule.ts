import { setTimeout as sleep } from 'node:timers/promises'
import type { Request } from 'express'

/**
 * The times of a run: a stream whose `n`th event is due a fixed time after the run began.
 *
 * The id of an event, `<run>:<n>`, holds all the state there is, so any server resumes a run with nothing stored.
 */
export class Schedule {
  /** When the run began, in milliseconds since the epoch. */
  readonly run: number
  /** The number of the last event that the client has; 0 before the first. */
  readonly after: number
  readonly #interval: number
  /** When the run began, on the monotonic clock. */
  readonly #began: number

  constructor({ run, after }: { run: number; after: number }, interval: number) {
    this.run = run
    this.after = after
    this.#interval = interval
    // If the clock was set back, a client may have events that are still in the future: the next is then due one interval from now.
    this.#began = performance.now() - Math.max(Date.now() - run, (after - 1) * interval)
  }

  /** Milliseconds since the run began. */
  get elapsed(): number {
    return performance.now() - this.#began
  }

  id(n: number): string {
    return `${this.run}:${n}`
  }

  /** When the `n`th event is due, in milliseconds since the epoch. */
  time(n: number): number {
    return this.run + (n - 1) * this.#interval
  }

  /** Resolves to true when the `n`th event is due, or to false as soon as the signal aborts. */
  async reached(n: number, signal: AbortSignal): Promise<boolean> {
    const wait = (n - 1) * this.#interval - this.elapsed
    if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => undefined)
    return !signal.aborted
  }
}

/** How far a clock may be set back: half a day, for example after a wrong time zone. An id further in the future is not ours. */
const MAX_SET_BACK = 12 * 3_600_000

/**
 * The run that a client resumes with the id it sends; a new run if it sends none, or one that cannot be ours.
 *
 * @param closing The number of the last event.
 */
export function scheduleOf(req: Request, closing: number, interval: number): Schedule {
  // Not `lastEventId`, which refuses a repeated parameter: here anything that is not an id starts a new run.
  const id = req.get('Last-Event-ID') ?? req.query['lastEventId']
  const [, run, n] = /^([1-9]\d{12}):([1-9]\d{0,8})$/.exec(typeof id === 'string' ? id : '') ?? []
  const sent = { run: Number(run), after: Number(n) }
  const isOurs = sent.after <= closing && sent.run <= Date.now() + MAX_SET_BACK
  return new Schedule(isOurs ? sent : { run: Date.now(), after: 0 }, interval)
}

const formatter = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' })

/** `yyyy-MM-dd HH:mm:ss` in the server's time zone: the Swedish format. */
export function timestamp(time: number): string {
  return formatter.format(time)
}
