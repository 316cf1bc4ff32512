import type { Response } from 'express'
import type { Technique } from '../../../shared/demos/comparison'
import type { KeptEvent, Run } from './run'

/** Answers a poll with these events as a JSON array, and counts empty responses. */
export function answer(run: Run, technique: Technique, res: Response, events: readonly KeptEvent[]): void {
  if (events.length === 0) run.figures[technique].empty++
  run.sent(technique, events)
  res
    .set('Cache-Control', 'no-store')
    .type('json')
    .send(`[${events.map(({ text }) => text).join(',')}]`)
}
