import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { SseEmitter } from './sse/emitter.js'
import { nodeSink } from './sse/nodeSink.js'

const app = express().get('/sse', async (_req, res) => {
  const emitter = new SseEmitter(nodeSink(res))
  for (let n = Number(emitter.lastEventId) + 1; n <= 10 && !emitter.signal.aborted; n++) {
    emitter.send({ id: String(n), data: `Hello ${n}` })
    await sleep(1_000)
  }
  emitter.send({ event: 'close', data: '' })
  emitter.complete()
})
app.listen(Number(process.env['PORT'] ?? 3000))
