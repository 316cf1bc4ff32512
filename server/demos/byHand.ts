import { Router, type RequestHandler, type Response } from 'express'
import { byHandPaths } from '../../shared/demos/byHand'
import { HttpError } from '../httpError'
import { contentParam, idParam } from '../params'
import type { Streams } from '../sse/streams'

export interface ByHandOptions {
  /** Milliseconds until a subscription ends. @default 30_000 */
  timeout?: number
  maxContentBytes: number
  maxUnsentBytes: number
}

/**
 * A channel written by hand: a response that is kept open, and lines that are written to it.
 *
 * It claims to be `text/event-stream`, but its lines have no fields: curl shows them all, and EventSource ignores them as unknown
 * fields. This shows why events need framing: pushing `data: x` and two line feeds is an event.
 */
export function byHand(streams: Streams, guard: RequestHandler, options: ByHandOptions): Router {
  const { timeout = 30_000, maxContentBytes, maxUnsentBytes } = options
  const subscribers = new Map<string, Response>()

  /** The subscriber of an id. A second one replaces the first, which receives nothing more. */
  function subscriber(id: string): Response {
    const res = subscribers.get(id)
    // An ended response that was not read to its end is still there, but cannot be written to.
    if (!res || res.writableEnded)
      throw new HttpError(404, 'no-subscriber', `Nobody is subscribed to ${id}: subscribe first.`)
    return res
  }

  return Router()
    .get(byHandPaths.subscribe, (req, res) => {
      const id = idParam(req)
      if (res.socket === null) throw new HttpError(400, 'pipelined', 'A stream needs a connection of its own.')
      streams.admit(req, res, () => res.end('over\n'))
      res.set({
        'Content-Type': 'text/event-stream; charset=utf-8',
        'Cache-Control': 'no-cache, no-transform',
        'X-Accel-Buffering': 'no',
      })
      if (req.method === 'HEAD' || res.closed) {
        res.end()
        return
      }
      // A client that has not read the rest after a second timeout never will.
      const timer = setInterval(() => (res.writableEnded ? res.destroy() : res.end()), timeout)
      res.once('close', () => {
        clearInterval(timer)
        if (subscribers.get(id) === res) subscribers.delete(id)
      })
      subscribers.set(id, res)
      res.write('订阅成功\n')
    })
    .all(byHandPaths.push, guard, (req, res) => {
      const waiting = subscriber(idParam(req))
      const line = `${contentParam(req, maxContentBytes)}\n`
      // Unread bytes wait in memory here too.
      if (waiting.writableLength + Buffer.byteLength(line) > maxUnsentBytes) waiting.destroy()
      else waiting.write(line)
      res.type('text').send('pushed!\n')
    })
    .all(byHandPaths.over, guard, (req, res) => {
      subscriber(idParam(req)).end('over\n')
      res.type('text').send('over!\n')
    })
}
