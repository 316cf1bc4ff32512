import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import { builtPage, compiledPage, livePage, type Page } from './page'
import { readSettings, SettingsError } from './settings'
import { Streams } from './sse/streams'

/** Milliseconds that connections get to end by themselves at shutdown. */
const SHUTDOWN_TIMEOUT = 5_000

async function main(): Promise<void> {
  const { port, host } = readSettings(process.env)
  const server = createServer()
  const page = await pageFor(process.argv[2], server)
  const streams = new Streams()
  server.on('request', createApp({ streams, page }))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })

  const address = server.address() as AddressInfo
  const name = ['127.0.0.1', '::1', '0.0.0.0', '::'].includes(host) ? 'localhost' : host
  console.log(`Server-Sent Events: http://${name}:${address.port}`)

  const stop = (): void => {
    // A second signal ends the process at once, as signals do when nobody listens.
    process.off('SIGTERM', stop).off('SIGINT', stop)
    setTimeout(() => server.closeAllConnections(), SHUTDOWN_TIMEOUT).unref()
    server.close(() => void page.close().then(() => process.exit(0)))
    streams.end()
    server.closeIdleConnections()
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)
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
      return `Port ${PORT} is in use: end the program that uses it, or choose another, PORT=${Number(PORT) + 1} npm start.`
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
