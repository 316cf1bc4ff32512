import { Router } from 'express'
import { wirePath } from '../../shared/demos/wire'
import { closeEvent, type SseEvent } from '../sse/encode'
import type { Streams } from '../sse/streams'
import { scheduleOf } from './schedule'

export interface WireOptions {
  /** Milliseconds between two blocks. @default 1_500 */
  interval?: number
}

/** The blocks of the stream, in the order in which you would explain them. */
const BLOCKS: readonly SseEvent[] = [
  { data: 'Data, and an empty line: this is an event.' },
  { data: 'Data may have\nseveral lines.' },
  { comment: 'A comment is not an event. It keeps the connection alive.' },
  { event: 'greeting', data: 'An event may have a name.' },
  { data: '' },
  { retry: 3_000 },
  { event: 'error', data: 'A server may even call an event "error".' },
]

/** `GET /sse/wire`: one of everything that can be in a stream. */
export function wire(streams: Streams, { interval = 1_500 }: WireOptions = {}): Router {
  const closing = BLOCKS.length + 1

  return Router().get(wirePath, async (req, res) => {
    const schedule = scheduleOf(req, closing, interval)
    if (schedule.after === closing) {
      res.status(204).end()
      return
    }
    const emitter = streams.open(req, res)
    for (let n = schedule.after + 1; n <= closing; n++) {
      if (!(await schedule.reached(n, emitter.signal))) return
      const block = BLOCKS[n - 1] ?? closeEvent
      emitter.send(block.data === undefined ? block : { ...block, id: schedule.id(n) })
    }
    emitter.complete()
  })
}
