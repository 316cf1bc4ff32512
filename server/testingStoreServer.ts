/** The application without a page, as a process that a test can kill. Reads `PORT` and `DATABASE_URL`. */

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import { readSettings } from './settings'
import { Hub } from './sse/hub'
import { MemoryEventLog } from './sse/memoryEventLog'
import { Streams } from './sse/streams'
import { Database } from './store/database'

const { port, database, pushesPerMinute } = readSettings(process.env)
const { request } = createApp({
  pushesPerMinute,
  streams: new Streams(),
  hub: new Hub(new MemoryEventLog()),
  database: new Database(database),
})
const server = createServer(request).listen(port, '127.0.0.1', () => {
  console.log(`Server-Sent Events: http://localhost:${(server.address() as AddressInfo).port}`)
})
