/** For tests: one of several servers that share a Redis, as a separate process. It has the API without the page, which takes seconds to compile. */

import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import { createHttpServer } from './httpServer'
import { RedisEventLog } from './redis/redisEventLog'
import { readSettings } from './settings'
import { Hub } from './sse/hub'
import { Streams } from './sse/streams'

const { port, redisUrl, log: limits, streams: streamLimits, emitter, pushesPerMinute } = readSettings(process.env)
if (redisUrl === null) throw new Error('A node needs REDIS_URL.')

const log = new RedisEventLog({ ...limits, url: redisUrl, answerTimeout: 1_000, lookInterval: 1_000 })
const app = createApp({ pushesPerMinute, streams: new Streams(streamLimits, emitter), hub: new Hub(log) })
const { server } = createHttpServer()
server.on('request', app.request).listen(port, '127.0.0.1', () => {
  console.log(`Server-Sent Events: http://localhost:${(server.address() as AddressInfo).port}`)
})
