import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createApp } from './app'
import { createHttpServer } from './httpServer'
import { builtPage, compiledPage, livePage, type Page } from './page'
import { readSettings, SettingsError } from './settings'
import { Hub } from './sse/hub'
import { MemoryEventLog } from './sse/memoryEventLog'
import { Streams } from './sse/streams'

/** Milliseconds over which the streams are ended at shutdown, and after which every connection is. */
const SHUTDOWN_SPREAD = 2_000
const SHUTDOWN_TIMEOUT = 5_000

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile()
  const { port, host, streams: limits, emitter, log, ...settings } = readSettings(process.env)
  const server = createHttpServer()
  const page = await pageFor(process.argv[2], server)
  const streams = new Streams(limits, emitter)
  const hub = new Hub(new MemoryEventLog(log))
  const { maxUnsentBytes } = emitter
  const app = createApp({ ...settings, streams, hub, page, maxUnsentBytes })
  server.on('request', app.request).on('upgrade', app.upgrade)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })

  const stop = (): void => {
    // A second signal ends the process at once, as signals do when nobody listens.
    process.off('SIGTERM', stop).off('SIGINT', stop)
    setTimeout(() => server.closeAllConnections(), SHUTDOWN_TIMEOUT).unref()
    // First of all the page: a live one has connections of its own.
    const closed = page.close()
    server.close(() => void closed.then(() => process.exit(0)))
    void streams.end(SHUTDOWN_SPREAD)
    // A connection whose stream has ended would wait for the client's next request.
    setInterval(() => server.closeIdleConnections(), 100)
    // Node does not count those as idle that browsers open ahead of a request.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)

  // Last: who reads it may connect, and may send a signal.
  const address = server.address() as AddressInfo
  const everywhere = ['127.0.0.1', '::1', '0.0.0.0', '::'].includes(host)
  const name = everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  console.log(`Server-Sent Events: http://${name}:${address.port}`)
}

/** `npm start` compiles the page, `npm run dev` keeps it live, `npm run serve` takes what `npm run build` has made. */
async function pageFor(mode: string | undefined, server: Server): Promise<Page> {
  if (mode === '--built') return builtPage()
  return mode === '--live' ? livePage(server) : compiledPage()
}

/** What a person can mend is said in one line; anything else is a bug, with its stack. */
function explain(error: unknown): unknown {
  if (error instanceof SettingsError) return error.message
  if (!(error instanceof Error && 'code' in error)) return error
  // An empty variable counts as none, as in the settings.
  const PORT = process.env['PORT'] || '3000'
  const HOST = process.env['HOST'] || '127.0.0.1'
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${PORT} is in use: end the program that uses it, or choose another, PORT=${Math.min(Number(PORT) + 1, 65_534)} npm start.`
    case 'EACCES':
      return `Port ${PORT} may not be used by this user: choose one from 1024 up, PORT=3000 npm start.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST ${HOST} is not an address of this machine: leave it away for 127.0.0.1.`
    default:
      return error
  }
}

main().catch((error: unknown) => {
  console.error(explain(error))
  process.exit(1)
})
