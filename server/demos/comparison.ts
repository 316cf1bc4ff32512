import { Router, type Request, type RequestHandler } from 'express'
import { comparisonLimits, comparisonPaths, type ComparisonFigures } from '../../shared/demos/comparison'
import { HttpError } from '../httpError'
import { integerParam, param } from '../params'
import type { Streams } from '../sse/streams'
import { longPolling } from './comparison/longPolling'
import { Meter } from './comparison/meter'
import { clock, type Run } from './comparison/run'
import { Runs } from './comparison/runs'
import { serverSentEvents } from './comparison/serverSentEvents'
import { shortPolling } from './comparison/shortPolling'
import { Webhook } from './comparison/webhook'
import { WebhookReceiver } from './comparison/webhookReceiver'
import { webSocket } from './comparison/webSocket'

export interface ComparisonOptions {
  /** Milliseconds that a long poll is held without an event. @default 25_000 */
  hold?: number
  /** Milliseconds that a run lasts after its last use. @default 60_000 */
  idle?: number
  /** Runs at once. @default 50 */
  maxRuns?: number
  /** Milliseconds between two pings of a WebSocket. @default 15_000 */
  heartbeat?: number
}

export interface Comparison {
  /** Must see every request of the server before any other handler: it attributes the bytes of connections. */
  watch: RequestHandler
  router: Router
}

/**
 * One source of events, five techniques that deliver them (short polling, long polling, SSE, WebSocket and webhook), and the cost of each.
 * `guard` protects state-changing routes.
 */
export function comparison(
  streams: Streams,
  guard: RequestHandler,
  { hold = 25_000, idle = 60_000, maxRuns = 50, heartbeat = 15_000 }: ComparisonOptions = {},
): Comparison {
  const meter = new Meter()
  const runs = new Runs(meter, idle, maxRuns)
  const receiver = new WebhookReceiver()
  const webhooks = new WeakMap<Run, Webhook>()
  streams.ending.addEventListener('abort', () => runs.end())

  function webhookOf(run: Run): Webhook {
    const webhook = webhooks.get(run) ?? new Webhook(run, receiver)
    webhooks.set(run, webhook)
    return webhook
  }

  const router = Router()
    .all(comparisonPaths.run, guard, async (req, res) => {
      const interval = integerParam(req, 'interval', 100, ...comparisonLimits.interval)
      const bytes = integerParam(req, 'bytes', 64, ...comparisonLimits.bytes)
      const webhook = switchParam(req, 'webhook')
      const run = runs.start(req, { interval, bytes })
      await webhookOf(run).use(webhook)
      res.json({ interval, bytes, webhook })
    })
    .all(comparisonPaths.cut, guard, (req, res) => {
      const cut = runs.of(req).cut(req.socket)
      // This request's connection may have served polls: it is closed too, after the response.
      res.set('Connection', 'close').json({ cut })
    })
    .all(comparisonPaths.stop, guard, (req, res) => {
      const run = runs.of(req)
      run.end()
      res.json({ made: run.newest })
    })
    .get(comparisonPaths.figures, (req, res) => {
      const run = runs.of(req)
      const after = integerParam(req, 'after', 0, 0, Number.MAX_SAFE_INTEGER)
      const webhook = webhookOf(run)
      meter.settle()
      const figures: ComparisonFigures = {
        newest: run.newest,
        techniques: run.figures,
        repeated: webhook.repeated,
        deliveries: webhook.deliveries.filter(([n]) => n > after),
        webhookAfter: webhook.after,
        now: clock(),
      }
      res.set('Cache-Control', 'no-store').json(figures)
    })
    .use(shortPolling(runs))
    .use(longPolling(runs, streams, hold))
    .use(serverSentEvents(runs, streams))
    .use(webSocket(runs, streams, heartbeat))
  return { watch: meter.watch, router }
}

/** @throws HttpError 400 */
function switchParam(req: Request, name: string): boolean {
  const value = param(req, name) ?? 'false'
  if (value !== 'true' && value !== 'false') throw new HttpError(400, name, `${name} must be true or false.`)
  return value === 'true'
}
