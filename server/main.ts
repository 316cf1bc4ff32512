import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createApp } from './app'
import { createHttpServer } from './httpServer'
import { maxConnections } from './openFiles'
import { builtPage, compiledPage, livePage, type Page } from './page'
import type { RedisEventLog } from './redis/redisEventLog'
import type { RedisFigures } from './redis/redisFigures'
import { readSettings, SettingsError, type Settings } from './settings'
import { shutDown } from './shutdown'
import { Hub } from './sse/hub'
import { MemoryEventLog } from './sse/memoryEventLog'
import { Streams } from './sse/streams'
import { Database } from './store/database'

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile()
  const {
    port,
    host,
    http,
    streams: limits,
    emitter,
    log: logLimits,
    database,
    openAi,
    redisUrl,
    ...settings
  } = readSettings(process.env)
  const connections = maxConnections()
  const httpServer = createHttpServer({ ...http, maxConnections: connections })
  const { server } = httpServer
  const page = await pageFor(process.argv[2], server)
  // The rest is for requests, which could otherwise not even be refused.
  const total = Math.min(limits.total, Math.floor(0.9 * connections))
  const streams = new Streams({ ...limits, total }, emitter)
  const shared = redisUrl === null ? null : await inRedis(redisUrl, logLimits)
  const eventLog = shared?.log ?? new MemoryEventLog(logLimits)
  const app = createApp({
    ...settings,
    streams,
    page,
    hub: new Hub(eventLog),
    // This process does not count what is stored in Redis.
    ...(eventLog instanceof MemoryEventLog ? { log: eventLog } : { isLogReady: () => eventLog.isReady }),
    connections: httpServer.connections,
    database: new Database(database),
    ...(shared ? { live: { figures: shared.figures } } : {}),
    answer: { openAi },
    channelAge: logLimits.maxAge,
    maxUnsentBytes: emitter.maxUnsentBytes,
  })
  server.on('request', app.request).on('upgrade', app.upgrade)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })

  const stop = (): void => {
    // A second signal then has no listener, so it ends the process at once.
    process.off('SIGTERM', stop).off('SIGINT', stop)
    shutDown(httpServer, streams, eventLog, page, settings.shutdownWindow).then(() => process.exit(0), fail)
  }
  process.on('SIGTERM', stop).on('SIGINT', stop)

  // Last: whoever reads this line may connect, or send a signal.
  const address = server.address() as AddressInfo
  const everywhere = ['127.0.0.1', '::1', '0.0.0.0', '::'].includes(host)
  const name = everywhere ? 'localhost' : host.includes(':') ? `[${host}]` : host
  console.log(`Server-Sent Events: http://${name}:${address.port}`)
}

/** What several servers share. Only this loads the Redis client. */
async function inRedis(url: string, limits: Settings['log']): Promise<{ log: RedisEventLog; figures: RedisFigures }> {
  const { RedisEventLog } = await import('./redis/redisEventLog')
  const { RedisFigures } = await import('./redis/redisFigures')
  const log = new RedisEventLog({ ...limits, url })
  return { log, figures: new RedisFigures(log.connection) }
}

/** `npm start` compiles the page, `npm run dev` keeps it live, `npm run serve` serves the output of `npm run build`. */
async function pageFor(mode: string | undefined, server: Server): Promise<Page> {
  if (mode === '--built') return builtPage()
  if (mode === '--live') return livePage(server)
  console.log('Compiling the page …')
  return compiledPage()
}

/** One line for errors that the user can fix; anything else is a bug, with its stack. */
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
      return `HOST ${HOST} is not an address of this machine: unset it for 127.0.0.1.`
    default:
      return error
  }
}

function fail(error: unknown): void {
  console.error(explain(error))
  process.exit(1)
}

main().catch(fail)
