import express, { type ErrorRequestHandler, type Express, type Response } from 'express'
import helmet from 'helmet'
import { timestamps, type TimestampsOptions } from './demos/timestamps'
import type { Page } from './page'
import { SseEmitterError } from './sse/emitter'
import { CapacityError, type Streams } from './sse/streams'

export interface AppOptions {
  streams: Streams
  /** Without a page, only the API is served. */
  page?: Page
  timestamps?: TimestampsOptions
}

/** The whole application: security headers, the demos' routes, the page, and an error for everything else. */
export function createApp({ streams, page, timestamps: options }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  app.use(securityHeaders(page?.inlineStyles ?? false))

  app.get('/healthz', (_req, res) => {
    res.json({ status: 'ok', streams: streams.size, uptime: Math.round(process.uptime()) })
  })
  app.use(timestamps(streams, options))

  if (page) app.use(page.handler)
  app.use((req, res) => {
    const message = `There is nothing at ${req.path}.`
    if (req.accepts(['json', 'html']) === 'html')
      res.status(404).type('html').send(`<!doctype html><title>404</title><p>Not found. <a href="/">To the start</a>`)
    else sendError(res, 404, 'not-found', message)
  })
  app.use(errors)
  return app
}

function securityHeaders(inlineStyles: boolean): ReturnType<typeof helmet> {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        styleSrc: inlineStyles ? ["'self'", "'unsafe-inline'"] : ["'self'"],
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
    next(error)
    return
  }
  if (error instanceof CapacityError) {
    res.set('Retry-After', String(error.retryAfter))
    sendError(res, 503, `capacity-${error.kind}`, error.message)
  } else if (error instanceof SseEmitterError && error.kind === 'pipelined') {
    sendError(res, 400, error.kind, error.message)
  } else if (isClientError(error)) {
    sendError(res, error.status, 'bad-request', error.message)
  } else {
    console.error(error)
    sendError(res, 500, 'internal', 'The server failed to answer. It wrote down why.')
  }
}

/** What Express throws for a request that it cannot read, such as a malformed escape in its path. */
function isClientError(error: unknown): error is Error & { status: number } {
  return error instanceof Error && 'status' in error && Number(error.status) >= 400 && Number(error.status) < 500
}

function sendError(res: Response, status: number, code: string, message: string): void {
  res.status(status).json({ error: { code, message } })
}
