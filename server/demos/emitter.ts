import { Router, type Request, type Response } from 'express'
import {
  emitterLogPath,
  emitterPath,
  failureEvent,
  timeoutEvent,
  type EmitterCallback,
} from '../../shared/demos/emitter'
import { integerParam, lastEventId, param } from '../params'
import { closeEvent } from '../sse/encode'
import { SseEmitterError } from '../sse/emitter'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import { scheduleOf, timestamp } from './schedule'

export interface EmitterOptions {
  /** Milliseconds between two events. @default 1_000 */
  interval?: number
  /** Milliseconds after which the emitter times out. @default 10_000 */
  timeout?: number
}

/** The log's channel. No user can choose this name. */
const LOG = '#emitters'

const COUNT = 10
const CLOSING = COUNT + 1

/**
 * `GET /springSSE`: ten events, one a second, from an emitter that times out after ten seconds.
 *
 * `?fail=3` fails after the third event, and `?hang=3` sends nothing after it until the timeout. `GET /springSSE/log` streams
 * the callbacks of all emitters.
 */
export function emitterDemo(
  streams: Streams,
  hub: Hub,
  { interval = 1_000, timeout = 10_000 }: EmitterOptions = {},
): Router {
  const log = (callback: EmitterCallback): void => {
    // A line without room in the event log is dropped, with no other effect.
    hub.publish(LOG, { event: 'callback', data: JSON.stringify(callback) }).catch(() => undefined)
  }

  async function stream(req: Request, res: Response): Promise<void> {
    const fail = integerParam(req, 'fail', COUNT, 0, COUNT)
    const hang = integerParam(req, 'hang', COUNT, 0, COUNT)
    const name = runName(req)
    const schedule = scheduleOf(req, CLOSING, interval)
    if (schedule.after === CLOSING) {
      res.status(204).end()
      return
    }

    const say = (callback: EmitterCallback['callback'], detail = ''): void =>
      log({ run: name, callback, detail, time: Date.now() })
    const goodbye = (): void => {
      emitter.send({ ...closeEvent, id: schedule.id(CLOSING) })
    }
    const emitter = streams.open(req, res, { timeout: Math.max(1, Math.ceil(timeout - schedule.elapsed)) })
    say('opened')
    emitter.onTimeout(() => {
      say('onTimeout')
      emitter.send({ event: timeoutEvent, data: `Timed out after ${timeout / 1_000} s` })
      goodbye()
    })
    emitter.onError((error) => {
      say('onError', error instanceof SseEmitterError ? error.kind : 'failed')
      // Clients must not learn internals.
      emitter.send({ event: failureEvent, data: 'The server failed' })
      goodbye()
    })
    emitter.onCompletion(() => say('onCompletion'))

    for (let n = schedule.after + 1; n <= COUNT; n++) {
      if (!(await schedule.reached(n, emitter.signal)) || n > hang) return
      if (n > fail) {
        emitter.completeWithError(new Error('This is what ?fail= asked for.'))
        return
      }
      emitter.send({ id: schedule.id(n), data: `[${timestamp(schedule.time(n))}] Data #${n - 1}` })
    }
    goodbye()
    emitter.complete()
  }

  return Router()
    .get(emitterPath, stream)
    .get(emitterLogPath, async (req, res) => {
      await hub.subscribe(LOG, () => streams.open(req, res), { after: lastEventId(req), from: 'now' })
    })
}

/** The name that the client gives its stream in the log: a few harmless characters. */
function runName(req: Request): string {
  const name = param(req, 'run') ?? ''
  return /^[\w-]{1,36}$/.test(name) ? name : ''
}
