import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpServer } from './httpServer'
import type { Page } from './page'
import type { EventLog } from './sse/eventLog'
import type { Streams } from './sse/streams'

/** Milliseconds that connections may take to close after the last stream has ended. */
const GRACE = 3_000

/** Ends the server: stops accepting, ends the streams one by one, and finally cuts whatever is still open. */
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
  // Otherwise a connection whose stream has ended would wait for its client's next request.
  const idle = setInterval(() => server.closeIdleConnections(), 100)

  await streamsEnded
  await Promise.race([closed, sleep(GRACE)])
  server.closeAllConnections()
  await Promise.all([closed, pageClosed])
  clearInterval(idle)
  // Last: until now, requests needed it.
  await log.close()
}
