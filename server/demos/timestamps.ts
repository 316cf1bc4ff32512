import { Router } from 'express'
import { TIMESTAMPS, timestampsPath } from '../../shared/demos/timestamps'
import { closeEvent } from '../sse/encode'
import type { Streams } from '../sse/streams'
import { scheduleOf, timestamp } from './schedule'

export interface TimestampsOptions {
  /** Timestamps in a run. @default 30 */
  count?: number
  /** Milliseconds between two of them. @default 1_000 */
  interval?: number
}

/** `GET /sse`: the first timestamp at once, then one a second, then `close`. */
export function timestamps(streams: Streams, { count = TIMESTAMPS, interval = 1_000 }: TimestampsOptions = {}): Router {
  const closing = count + 1

  return Router().get(timestampsPath, async (req, res) => {
    const schedule = scheduleOf(req, closing, interval)
    // 204 is the standard's way to stop a client that reconnects: it ends even one that ignores `close`.
    if (schedule.after === closing) {
      res.status(204).end()
      return
    }

    const emitter = streams.open(req, res)
    for (let n = schedule.after + 1; n <= count; n++) {
      if (!(await schedule.reached(n, emitter.signal))) return
      emitter.send({ id: schedule.id(n), data: timestamp(schedule.time(n)) })
    }
    emitter.send({ ...closeEvent, id: schedule.id(closing) })
    emitter.complete()
  })
}
