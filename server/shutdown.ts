import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpServer } from './httpServer'
import type { Page } from './page'
import type { EventLog } from './sse/eventLog'
import type { Streams } from './sse/streams'

/** Milliseconds that connections may take to close after the last stream was ended. */
const GRACE = 3_000

/** Ends the server: stops accepting, ends every stream in its turn, and cuts off only what has not ended by then. */
export async function shutDown(
  { server, connections }: HttpServer,
  streams: Streams,
  log: Pick<EventLog, 'close'>,
  page: Page,
  /** Milliseconds over which the streams are ended. */
  window: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const streamsEnded = streams.end(window)
  connections.closeUnused()
  // A live page has connections of its own.
  const pageClosed = page.close()
  // A connection whose stream has ended would wait for its client's next request.
  const idle = setInterval(() => server.closeIdleConnections(), 100)

  await streamsEnded
  await Promise.race([closed, sleep(GRACE)])
  server.closeAllConnections()
  await Promise.all([closed, pageClosed])
  clearInterval(idle)
  // Last: until now there were requests that needed it.
  await log.close()
}
