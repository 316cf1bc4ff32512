/**
 * A server as a process of its own, for tests that kill it: the API without the page, which takes seconds to compile. With
 * `REDIS_URL` it is one of several.
 *
 * `PUBLISH_DELAY_MS`: events reach the log up to so much later, so that it dies before more often.
 */

import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from './app'
import { createHttpServer } from './httpServer'
import { RedisEventLog } from './redis/redisEventLog'
import { RedisFigures } from './redis/redisFigures'
import { readSettings } from './settings'
import { Hub } from './sse/hub'
import { MemoryEventLog } from './sse/memoryEventLog'
import { Streams } from './sse/streams'
import { Database } from './store/database'

const settings = readSettings(process.env)
const { port, redisUrl, log: limits, streams, emitter, pushesPerMinute, database, openAi } = settings

const redisLog =
  redisUrl === null ? null : new RedisEventLog({ ...limits, url: redisUrl, answerTimeout: 1_000, lookInterval: 1_000 })
const log = redisLog ?? new MemoryEventLog(limits)

const delay = Number(process.env['PUBLISH_DELAY_MS'] ?? 0)
if (delay > 0) {
  const append = log.append.bind(log)
  log.append = async (...event) => {
    await sleep(Math.random() * delay)
    return append(...event)
  }
}

// Everything that waits for somebody who may be dead, for less long.
const outbox = { lease: 1_000, interval: 200 }
const app = createApp({
  pushesPerMinute,
  streams: new Streams(streams, emitter),
  hub: new Hub(log),
  database: new Database(database),
  inbox: outbox,
  todos: outbox,
  answer: { openAi, patience: 2_000 },
  ...(redisLog
    ? { isLogReady: () => redisLog.isReady, live: { figures: new RedisFigures(redisLog.connection, { life: 2_500 }) } }
    : {}),
})
const { server } = createHttpServer()
server.on('request', app.request).listen(port, '127.0.0.1', () => {
  console.log(`Server-Sent Events: http://localhost:${(server.address() as AddressInfo).port}`)
})
