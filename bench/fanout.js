/**
 * What it costs the server to deliver one event to one of many subscribers: `npm run fanout -- [hub|bare] [subscribers]`.
 *
 * `bare` is `res.write` of one shared buffer for every event, the least that anyone does. The clients are a process of their
 * own. Every burst ends with an event that has a `!`, which is what the clients count.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { argv, cpuUsage, memoryUsage } from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SseEmitter } from '../server/sse/emitter.ts'
import { nodeSink } from '../server/sse/nodeSink.ts'
import { encode } from '../server/sse/encode.ts'
import { Hub } from '../server/sse/hub.ts'
import { MemoryEventLog } from '../server/sse/memoryEventLog.ts'

const [, , kind = 'hub', count = '1000', clientPort] = argv
const subscribers = Number(count)

if (kind === 'clients') {
  let marks = 0
  for (let n = 0; n < subscribers; n++) {
    const socket = connect(Number(clientPort), '127.0.0.1', () =>
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    )
    socket.on('data', (bytes) => {
      const before = marks
      for (let at = bytes.indexOf('!'); at !== -1; at = bytes.indexOf('!', at + 1)) marks += 1
      if (marks > before && marks % subscribers === 0) process.send(marks)
    })
  }
  process.on('disconnect', () => process.exit())
} else {
  const publish = kind === 'bare' ? bare() : hub()
  const idleBefore = memoryUsage().rss
  const server = createServer(publish.accept).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clients = fork(fileURLToPath(import.meta.url), ['clients', count, String(server.address().port)])
  while (publish.size() < subscribers) await sleep(50)
  await sleep(500)
  console.log(
    `${kind}, ${subscribers} subscribers, ${((memoryUsage().rss - idleBefore) / subscribers / 1e3).toFixed(1)} kB each`,
  )

  let expected = 0
  const delivered = async () => {
    expected += subscribers
    while ((await once(clients, 'message'))[0] !== expected);
  }
  const measure = async (name, bursts, size, pause) => {
    const [cpu, start] = [cpuUsage(), performance.now()]
    let waited = 0
    for (let n = 0; n < bursts; n++) {
      const done = delivered()
      for (let m = 1; m < size; m++) await publish.send('.'.repeat(64))
      await publish.send(`${'.'.repeat(63)}!`)
      await done
      const due = start + (n + 1) * pause - performance.now()
      if (due > 0) {
        waited += due
        await sleep(due)
      }
    }
    const { user, system } = cpuUsage(cpu)
    const events = bursts * size * subscribers
    const rate = events / (performance.now() - start - waited)
    console.log(`${name}: ${((user + system) / events).toFixed(2)} us of CPU an event, ${rate.toFixed(0)} k/s`)
  }

  await measure('warm-up', 10, 200, 0)
  await measure('bursts of 200', 30, 200, 0)
  await measure('one every 20 ms', 250, 1, 20)
  clients.disconnect()
  await once(clients, 'exit')
  server.close()
  server.closeAllConnections()
  publish.close()
}

function hub() {
  const log = new MemoryEventLog()
  const hub = new Hub(log)
  let size = 0
  return {
    accept: (_req, res) => {
      void hub.subscribe('bench', () => new SseEmitter(nodeSink(res)), { after: null })
      size += 1
    },
    send: (data) => hub.publish('bench', { data }),
    size: () => size,
    close: () => log.close(),
  }
}

function bare() {
  const responses = new Set()
  let id = 0
  return {
    accept: (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      responses.add(res)
    },
    send: (data) => {
      const frame = encode({ id: String((id += 1)), data })
      for (const res of responses) res.write(frame)
    },
    size: () => responses.size,
    close: () => undefined,
  }
}
