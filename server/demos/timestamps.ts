import { setTimeout as sleep } from 'node:timers/promises'
import { Router, type Request } from 'express'
import { timestampsPath } from '../../shared/demos/timestamps'
import type { Streams } from '../sse/streams'

export interface TimestampsOptions {
  /** Timestamps in a run. @default 30 */
  count?: number
  /** Milliseconds between two of them. @default 1_000 */
  interval?: number
}

/**
 * `GET /sse`: a run of timestamps, then `close`.
 *
 * The id of an event is `<run>:<n>`: when its run began, in milliseconds since the epoch, and its number, from 1. That is
 * all there is to know about a stream, so that any server can resume it with nothing stored.
 */
export function timestamps(streams: Streams, { count = 30, interval = 1_000 }: TimestampsOptions = {}): Router {
  const closing = count + 1

  return Router().get(timestampsPath, async (req, res) => {
    const { run, after } = position(req) ?? { run: Date.now(), after: 0 }
    // 204 is the standard's way to stop a client that reconnects: it ends even one that ignores `close`.
    if (after === closing) {
      res.status(204).end()
      return
    }

    const emitter = streams.open(req, res)
    for (let n = after + 1; n <= count; n++) {
      const due = run + (n - 1) * interval
      if (!(await reached(due, emitter.signal))) return
      emitter.send({ id: `${run}:${n}`, data: timestamp.format(due) })
    }
    emitter.send({ id: `${run}:${closing}`, event: 'close', data: 'Connection closed by server' })
    emitter.complete()
  })

  /** Where the client was, or null when it does not say, or says something that no run of ours could have been. */
  function position(req: Request): { run: number; after: number } | null {
    const id = req.get('Last-Event-ID') ?? req.query['lastEventId']
    if (typeof id !== 'string') return null
    const [, start, n] = /^([1-9]\d{12}):([1-9]\d{0,8})$/.exec(id) ?? []
    const run = Number(start)
    const after = Number(n)
    // A run that began later than now, by more than a clock may be set back, would wait for its time to come.
    return after <= closing && run <= Date.now() + 5_000 ? { run, after } : null
  }
}

/** Resolves to true at `time`, or to false as soon as the signal aborts. */
async function reached(time: number, signal: AbortSignal): Promise<boolean> {
  const wait = time - Date.now()
  if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}

/** `yyyy-MM-dd HH:mm:ss` is how Swedish writes a date and a time. */
const timestamp = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' })
