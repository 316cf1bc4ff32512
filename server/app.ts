import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import helmet from 'helmet'
import { comparisonPaths } from '../shared/demos/comparison'
import { byHand, type ByHandOptions } from './demos/byHand'
import { channel } from './demos/channel'
import { comparison, type ComparisonOptions } from './demos/comparison'
import { Meter } from './demos/comparison/meter'
import { emitterDemo, type EmitterOptions } from './demos/emitter'
import { timestamps, type TimestampsOptions } from './demos/timestamps'
import { wire, type WireOptions } from './demos/wire'
import { bearer, formOrJson, getOrPost, noBody, noHandshake, perMinute, sameOrigin, servedHosts } from './guards'
import { handshakesTo, wantsWebSocket, type UpgradeListener } from './handshake'
import { HttpError } from './httpError'
import type { Page } from './page'
import { SseEmitterError } from './sse/emitter'
import { EventLogError } from './sse/eventLog'
import type { Hub } from './sse/hub'
import { CapacityError, type Streams } from './sse/streams'

export interface AppOptions {
  streams: Streams
  hub: Hub
  /** Without a page, only the API is served. */
  page?: Page
  /** Names besides `localhost` that are served. @default none */
  allowedHosts?: readonly string[]
  /** Reverse proxies in front. @default 0 */
  trustProxy?: number
  /** What routes that change something ask for: push, over, cut, and those of a comparison. @default null, nothing */
  pushToken?: string | null
  /** @default 600 */
  pushesPerMinute?: number
  /** @default 64 KiB */
  maxEventBytes?: number
  /** Bytes that may wait for a slow subscriber of the demo by hand. @default 1 MiB */
  maxUnsentBytes?: number
  timestamps?: TimestampsOptions
  emitter?: EmitterOptions
  byHand?: Pick<ByHandOptions, 'timeout'>
  wire?: WireOptions
  comparison?: ComparisonOptions
}

/** What listens to a server's `request` and `upgrade`. */
export interface App {
  request: RequestListener
  upgrade: UpgradeListener
}

/** The whole application: security headers, the demos' routes, the page, and an error for everything else. */
export function createApp(options: AppOptions): App {
  const { streams, hub, page, pushToken = null, pushesPerMinute = 600, maxEventBytes = 65_536 } = options
  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', options.trustProxy ?? 0)
  const headers = securityHeaders(page?.live ?? false)
  const meter = new Meter()
  app.use(meter.watch, headers, servedHosts(options.allowedHosts ?? []), noHandshake(comparisonPaths.webSocket), noBody)

  app.get('/healthz', (_req, res) => {
    res.json({ status: 'ok', streams: streams.size, channels: hub.size, uptime: Math.round(process.uptime()) })
  })

  // What can be six characters in JSON, `\u0000`, is one byte of content.
  const bodyLimit = 6 * maxEventBytes + 1_024
  const changing = express
    .Router()
    .use(getOrPost, sameOrigin, perMinute(pushesPerMinute), bearer(pushToken), formOrJson)
    .use(express.urlencoded({ extended: false, limit: bodyLimit }), express.json({ limit: bodyLimit }))
  const maxContentBytes = maxEventBytes
  app.use(timestamps(streams, options.timestamps))
  app.use(wire(streams, options.wire))
  app.use(emitterDemo(streams, hub, options.emitter))
  app.use(
    byHand(streams, changing, {
      ...options.byHand,
      maxContentBytes,
      maxUnsentBytes: options.maxUnsentBytes ?? 2 ** 20,
    }),
  )
  app.use(channel(streams, hub, changing, { maxContentBytes }))
  app.use(comparison(streams, meter, changing, options.comparison))

  if (page) app.use(page.handler)
  app.use((req, res) => sendError(res, new HttpError(404, 'not-found', `There is nothing at ${req.path}.`)))
  app.use(errors)

  // What reaches none of this is an address that Express cannot read. It would answer with a page of its own.
  const unreadable = new HttpError(400, 'request', 'The address of this request cannot be read.')
  const request: RequestListener = (message, response) => {
    const [req, res] = [message as Request, response as Response]
    app(req, res, () => {
      // Or an error in the middle of an answer: it is cut off.
      if (res.headersSent) res.destroy()
      else headers(req, res, () => sendError(res, unreadable))
    })
  }
  const handshake = handshakesTo(request)
  return {
    request,
    upgrade: (req, socket, head) => {
      // A live page has a socket of its own, which Vite listens to.
      const ofVite = page?.live && req.headers['sec-websocket-protocol']?.startsWith('vite-')
      if (wantsWebSocket(req) && !ofVite) handshake(req, socket, head)
    },
  }
}

function securityHeaders(live: boolean): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: live ? ["'self'", "'unsafe-inline'"] : ["'self'"],
        ...(live ? { workerSrc: ["'self'", 'blob:'] } : {}),
        // The stylesheet's icons are data URLs.
        imgSrc: ["'self'", 'data:'],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
      },
    },
    // TLS, where there is any, ends at a proxy in front: what concerns TLS is that proxy's to say.
    strictTransportSecurity: false,
  })
}

/** Every error as JSON, and nothing of the server's inside in it. */
const errors: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) {
    console.error(error)
    next(error)
    return
  }
  const known = toHttpError(error)
  if (known === null) console.error(error)
  sendError(res, known ?? new HttpError(500, 'internal', 'The server failed to answer. It wrote down why.'))
}

function toHttpError(error: unknown): HttpError | null {
  if (error instanceof HttpError) return error
  if (error instanceof CapacityError)
    return new HttpError(503, `capacity-${error.kind}`, error.message, { 'Retry-After': String(error.retryAfter) })
  if (error instanceof EventLogError) {
    if (error.kind === 'oversized') return new HttpError(413, 'content', error.message)
    const code = error.kind === 'unavailable' ? error.kind : `capacity-${error.kind}`
    return new HttpError(503, code, error.message, { 'Retry-After': String(error.retryAfter ?? 5) })
  }
  if (error instanceof SseEmitterError && error.kind === 'pipelined')
    return new HttpError(400, error.kind, error.message, { Connection: 'close' })
  if (!isClientError(error)) return null
  if (error.limit !== undefined)
    return new HttpError(
      413,
      'body',
      `The body has more than ${error.limit} bytes: send less, or raise MAX_EVENT_BYTES.`,
    )
  return new HttpError(error.status, 'request', `The request cannot be read: ${error.message}.`)
}

/** What Express and its body parsers throw for a request that they cannot read. */
function isClientError(error: unknown): error is Error & { status: number; limit?: number } {
  return error instanceof Error && 'status' in error && Number(error.status) >= 400 && Number(error.status) < 500
}

function sendError(res: Response, { status, code, message, headers }: HttpError): void {
  // What was set for another answer, as by a file that was not to be sent after all, is not of this one.
  for (const name of ['ETag', 'Last-Modified']) res.removeHeader(name)
  res.status(status).set(headers).type('json').json({ error: { code, message } })
}
