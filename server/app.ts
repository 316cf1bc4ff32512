import type { RequestListener } from 'node:http'
import express, { Router, type Request, type RequestHandler, type Response } from 'express'
import helmet from 'helmet'
import { comparisonPaths } from '../shared/demos/comparison'
import { changing, editing, insiders } from './changing'
import { ChannelQuota } from './channelQuota'
import { answer, type AnswerOptions } from './demos/answer'
import { byHand, type ByHandOptions } from './demos/byHand'
import { channel } from './demos/channel'
import { comparison, type ComparisonOptions } from './demos/comparison'
import { emitterDemo, type EmitterOptions } from './demos/emitter'
import { inbox, type InboxOptions } from './demos/inbox'
import { live, type LiveOptions } from './demos/live'
import { timestamps, type TimestampsOptions } from './demos/timestamps'
import { todos, type TodosOptions } from './demos/todos'
import { wire, type WireOptions } from './demos/wire'
import { errors, sendError } from './errors'
import { noBody, noHandshake, servedHosts } from './guards'
import { handshakesTo, wantsWebSocket, type UpgradeListener } from './handshake'
import { HttpError } from './httpError'
import { refuseOtherMethods } from './methods'
import { Metrics, type MetricSources } from './metrics'
import type { Page } from './page'
import { readSettings, type Settings } from './settings'
import type { Hub } from './sse/hub'
import type { Streams } from './sse/streams'
import { Database } from './store/database'

type AppSettings = Pick<
  Settings,
  'allowedHosts' | 'trustProxy' | 'pushToken' | 'pushesPerMinute' | 'channelsPerAddress' | 'maxEventBytes'
>

/** Settings that are not given have the defaults of an empty environment. */
export interface AppOptions extends Partial<AppSettings> {
  streams: Streams
  hub: Hub
  /** For `/healthz` and `/metrics`. */
  log?: MetricSources['log']
  /** Whether the log can be reached, for `/readyz`. @default always */
  isLogReady?: () => boolean
  /** For `/metrics`. */
  connections?: MetricSources['connections']
  /** Milliseconds for which a channel is stored. @default that of the settings */
  channelAge?: number
  /** @default one in memory */
  database?: Database
  /** Without a page, only the API is served. */
  page?: Page
  /** Bytes that may wait for a slow subscriber of the demo by hand. @default that of the settings */
  maxUnsentBytes?: number
  timestamps?: TimestampsOptions
  emitter?: EmitterOptions
  live?: LiveOptions
  inbox?: InboxOptions
  todos?: TodosOptions
  answer?: AnswerOptions
  byHand?: Pick<ByHandOptions, 'timeout'>
  wire?: WireOptions
  comparison?: ComparisonOptions
}

/** Listeners for a server's `request` and `upgrade` events. */
export interface App {
  request: RequestListener
  upgrade: UpgradeListener
}

/** The whole application: security headers, the demos' routes, the page, and an error for everything else. */
export function createApp(options: AppOptions): App {
  const { emitter, log: logDefaults, ...defaults } = readSettings({})
  const { streams, hub, log, page, database = new Database({ url: ':memory:' }) } = options
  const { maxUnsentBytes = emitter.maxUnsentBytes, channelAge = logDefaults.maxAge } = options
  const settings: AppSettings = { ...defaults, ...options }
  const { maxEventBytes: maxContentBytes } = settings

  const edit = editing(settings)
  const change = changing(settings, edit)
  const quota = new ChannelQuota({ perClient: settings.channelsPerAddress, maxAge: channelAge })
  const compared = comparison(streams, change, options.comparison)
  const metrics = new Metrics(options)
  const otherMethods = Router()

  const app = express()
  app.disable('x-powered-by')
  app.set('trust proxy', settings.trustProxy)
  const headers = securityHeaders(page?.live ?? false)
  app.use(compared.watch, headers)
  app.use(servedHosts(settings.allowedHosts), noHandshake(comparisonPaths.webSocket), noBody)
  // Express would answer OPTIONS with 200.
  app.use((req, res, next) => (req.method === 'OPTIONS' ? otherMethods(req, res, next) : next()))

  app.get('/healthz', (_req, res) => {
    res.json({
      status: 'ok',
      streams: streams.size,
      channels: log?.size ?? hub.size,
      uptime: Math.round(process.uptime()),
    })
  })
  app.get('/readyz', (_req, res) => {
    if (streams.refusal) throw streams.refusal
    if (options.isLogReady?.() === false)
      throw new HttpError(503, 'unavailable', 'Redis cannot be reached: try again.', { 'Retry-After': '5' })
    res.json({ status: 'ready' })
  })

  app.use(metrics.router(insiders(settings)))

  app.use(timestamps(streams, options.timestamps))
  app.use(wire(streams, options.wire))
  app.use(emitterDemo(streams, hub, options.emitter))
  app.use(byHand(streams, change, { ...options.byHand, maxContentBytes, maxUnsentBytes }))
  app.use(channel(streams, hub, change, { quota, maxContentBytes }))
  app.use(compared.router)
  app.use(live(streams, hub, edit, options.live))
  app.use(inbox(streams, hub, edit, database, options.inbox))
  app.use(todos(streams, hub, edit, database, options.todos))
  app.use(answer(streams, hub, edit, database, options.answer))

  if (page) app.use(page.handler)
  refuseOtherMethods(otherMethods, app.router)
  app.use(otherMethods)
  app.use((req) => {
    throw new HttpError(404, 'not-found', `There is nothing at ${req.path}.`)
  })
  app.use(errors((error) => metrics.refused(error)))

  // Reached only if Express cannot parse the address. It would answer with an HTML page of its own.
  const unreadable = new HttpError(400, 'request', 'The address of this request cannot be read.')
  const request: RequestListener = (message, response) => {
    const [req, res] = [message as Request, response as Response]
    app(req, res, () => {
      // Or after an error in the middle of a response, which is then cut off.
      if (res.headersSent) res.destroy()
      else headers(req, res, () => sendError(res, unreadable))
    })
  }
  const handshake = handshakesTo(request)
  return {
    request,
    upgrade: (req, socket, head) => {
      // A live page has a WebSocket of its own, which Vite handles.
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
    // If there is TLS, it ends at a proxy in front, which should set this header.
    strictTransportSecurity: false,
  })
}
