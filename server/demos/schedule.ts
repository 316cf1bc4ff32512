import { setTimeout as sleep } from 'node:timers/promises'
import type { Request } from 'express'

/** The last event that a client got of a run: a stream whose `n`th event is due a fixed time after the run began. */
export interface Cursor {
  /** When the run began: milliseconds since the epoch. */
  run: number
  /** 0 before the first event. */
  after: number
}

/**
 * Where a client goes on, from the id it sends: `<run>:<n>`. That is all there is to know about such a stream, so that any
 * server resumes it with nothing stored. A new run begins where the client does not say, or says what no run could have been.
 *
 * @param closing The number of the last event.
 */
export function cursorOf(req: Request, closing: number): Cursor {
  const fresh = { run: Date.now(), after: 0 }
  // Not `lastEventId`, which refuses one that is repeated: whatever is no id begins anew here.
  const id = req.get('Last-Event-ID') ?? req.query['lastEventId']
  if (typeof id !== 'string') return fresh
  const [, start, n] = /^([1-9]\d{12}):([1-9]\d{0,8})$/.exec(id) ?? []
  const run = Number(start)
  const after = Number(n)
  // A run that began later than now, by more than a clock may be set back, would wait for its time to come.
  return after <= closing && run <= fresh.run + 5_000 ? { run, after } : fresh
}

/** Resolves to true at `time`, or to false as soon as the signal aborts. */
export async function reached(time: number, signal: AbortSignal): Promise<boolean> {
  const wait = time - Date.now()
  if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}

const formatter = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' })

/** `yyyy-MM-dd HH:mm:ss` in the server's time zone, which is how Swedish writes a date and a time. */
export function timestamp(time: number): string {
  return formatter.format(time)
}
