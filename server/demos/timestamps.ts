import { Router } from 'express'
import { timestampsPath } from '../../shared/demos/timestamps'
import { closeEvent } from '../sse/encode'
import type { Streams } from '../sse/streams'
import { cursorOf, reached, timestamp } from './schedule'

export interface TimestampsOptions {
  /** Timestamps in a run. @default 30 */
  count?: number
  /** Milliseconds between two of them. @default 1_000 */
  interval?: number
}

/** `GET /sse`: the first timestamp at once, then one a second, then `close`. */
export function timestamps(streams: Streams, { count = 30, interval = 1_000 }: TimestampsOptions = {}): Router {
  const closing = count + 1

  return Router().get(timestampsPath, async (req, res) => {
    const { run, after } = cursorOf(req, closing)
    // 204 is the standard's way to stop a client that reconnects: it ends even one that ignores `close`.
    if (after === closing) {
      res.status(204).end()
      return
    }

    const emitter = streams.open(req, res)
    for (let n = after + 1; n <= count; n++) {
      const due = run + (n - 1) * interval
      if (!(await reached(due, emitter.signal))) return
      emitter.send({ id: `${run}:${n}`, data: timestamp(due) })
    }
    emitter.send({ ...closeEvent, id: `${run}:${closing}` })
    emitter.complete()
  })
}
