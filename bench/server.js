/** One server to measure: `server.js <kind>`. Reports its port to its parent, and publishes on request. */

import { createServer } from 'node:http'
import { argv, hrtime } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { createChannel, createSession } from 'better-sse'
import express from 'express'
import helmet from 'helmet'

/** Compiled by `run.js`. */
const compiled = (name) => import(new URL(`../node_modules/.cache/bench/${name}.js`, import.meta.url).href)
const [{ encode }, { Hub }, { MemoryEventLog }, { Streams }] = await Promise.all(
  ['encode', 'hub', 'memoryEventLog', 'streams'].map(compiled),
)

/** The same as an emitter's, so that only the stream differs. */
const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
}

/** The measured operations: `accept` answers a request with a stream, `send` publishes to all streams. */
const kinds = {
  ours() {
    const streams = new Streams({ perAddress: Infinity, total: Infinity })
    const hub = new Hub(new MemoryEventLog())
    return {
      accept: (req, res) => void hub.subscribe('bench', () => streams.open(req, res), { after: null }),
      send: (data) => hub.publish('bench', { data }),
    }
  },
  'better-sse'() {
    const channel = createChannel()
    return {
      accept: async (req, res) => channel.register(await createSession(req, res)),
      send: (data) => channel.broadcast(data, 'message'),
    }
  },
  express: writing,
  'node:http': writing,
}

/** What most people write: one buffer for all, written to each response. */
function writing() {
  const responses = new Set()
  let id = 0
  return {
    accept: (_req, res) => {
      res.writeHead(200, HEADERS).flushHeaders()
      responses.add(res)
      res.on('close', () => responses.delete(res))
    },
    send: (data) => {
      const frame = encode({ id: String((id += 1)), data })
      for (const res of responses) res.write(frame)
    },
  }
}

const kind = argv[2]
const { accept, send } = kinds[kind]()
const listener = kind === 'node:http' ? accept : express().disable('x-powered-by').use(helmet()).get('/', accept)
const server = createServer(listener)
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => process.send({ port: server.address().port }))

process.on('message', async ({ events, pause, settle }) => {
  // Twice: the second pass frees what the first one finalizes.
  if (settle) for (let n = 0; n < 2; n++) globalThis.gc()
  for (let n = 1; n <= events; n++) {
    // The send time is for the latency; the clients count `!`.
    const head = `${hrtime.bigint()} `
    await send(`${head}${'.'.repeat(63 - head.length)}${n === events || pause > 0 ? '!' : '.'}`)
    if (pause > 0) await sleep(pause)
  }
  process.send({ published: events ?? 0 })
})
process.on('disconnect', () => process.exit())
