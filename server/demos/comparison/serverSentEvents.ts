import { Router, type Request } from 'express'
import { comparisonPaths } from '../../../shared/demos/comparison'
import { param } from '../../params'
import type { Streams } from '../../sse/streams'
import type { Runs } from './runs'

/** One long-lived response. An event's number is its id, so a browser that reconnects says where it left off. */
export function serverSentEvents(runs: Runs, streams: Streams): Router {
  return Router().get(comparisonPaths.sse, (req, res) => {
    const run = runs.of(req)
    let last = lastEventId(req) ?? run.newest
    const emitter = streams.open(req, res, { retry: 1_000 })
    run.serve('sse', req, res)

    const advance = (): void => {
      for (const event of run.after(last)) {
        if (!emitter.writable) return // continues on drain
        emitter.send({ id: String(event.n), data: event.text })
        last = event.n
        run.sent('sse', [event])
      }
      if (!run.signal.aborted) return
      emitter.send({ event: 'close', data: 'Connection closed by server' })
      emitter.complete()
    }
    emitter.onCompletion(run.listen(advance))
    emitter.onDrain(advance)
    advance()
  })
}

/** The header wins: when the browser reconnects by itself, it repeats the query, which is out of date by then. */
function lastEventId(req: Request): number | null {
  const id = req.get('Last-Event-ID') ?? param(req, 'lastEventId') ?? ''
  return /^\d{1,15}$/.test(id) ? Number(id) : null
}
