import { Router } from 'express'
import { comparisonPaths } from '../../../shared/demos/comparison'
import { answer } from './answer'
import { afterParam, type Runs } from './runs'

/** Answers at once with the events there are, if any. */
export function shortPolling(runs: Runs): Router {
  return Router().get(comparisonPaths.shortPolling, (req, res) => {
    const run = runs.of(req)
    const events = run.after(afterParam(req, run, 1))
    run.serve('shortPolling', req, res)
    answer(run, 'shortPolling', res, events)
  })
}
