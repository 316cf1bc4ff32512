import { Router } from 'express'
import { comparisonPaths } from '../../../shared/demos/comparison'
import type { Streams } from '../../sse/streams'
import { answer } from './answer'
import { afterParam, type Runs } from './runs'

/** Answers as soon as there is an event, or with none after `hold` milliseconds, before a proxy times out. */
export function longPolling(runs: Runs, streams: Streams, hold: number): Router {
  return Router().get(comparisonPaths.longPolling, (req, res) => {
    const run = runs.of(req)
    const after = afterParam(req, run, 0)
    // It holds a response like a stream, and counts as one.
    streams.admit(req, res)
    run.serve('longPolling', req, res)

    const look = (final = false): void => {
      const events = run.after(after)
      if (events.length > 0 || final || run.signal.aborted) {
        leave()
        answer(run, 'longPolling', res, events)
      }
    }
    const stop = run.listen(look)
    const timer = setTimeout(look, hold, true).unref()
    const leave = (): void => {
      stop()
      clearTimeout(timer)
    }
    res.once('close', leave)
    look()
  })
}
