import { createHash, timingSafeEqual } from 'node:crypto'
import express, { Router, type RequestHandler } from 'express'
import { rateLimit } from 'express-rate-limit'
import { hasBody, hostName } from './guards'
import { HttpError } from './httpError'
import { isLoopback } from './loopback'
import { only } from './methods'
import { MAX_FIELDS } from './params'
import { RateWindow } from './rateWindow'
import { sameOrigin } from './sameOrigin'
import type { Settings } from './settings'
import { clientKey } from './sse/clientKey'

type ChangingSettings = Pick<Settings, 'pushToken' | 'pushesPerMinute' | 'maxEventBytes'>

/** Middleware for state-changing routes of any method: POST, and GET where there is no token. */
export function changing({ pushToken }: Pick<Settings, 'pushToken'>, edit: RequestHandler): Router {
  // Without a token, GET changes state too, so that people can try it in the address bar. HEAD never does.
  return Router().use(pushToken === null ? only('GET', 'POST') : only('POST'), edit)
}

/** Middleware for every state-changing route: decides who may use it and how often, then parses the body. */
export function editing(settings: ChangingSettings): Router {
  // One byte of content can take six characters in JSON: `\u0000`.
  const limit = 6 * settings.maxEventBytes + 1_024
  return Router()
    .use(notAhead, sameOrigin, ...insiders(settings), formOrJson)
    .use(express.urlencoded({ extended: false, limit, parameterLimit: MAX_FIELDS }), express.json({ limit }))
}

/** Admits requests with the token, or without one set, from this machine; both limited per minute. */
export function insiders({ pushToken, pushesPerMinute }: Omit<ChangingSettings, 'maxEventBytes'>): RequestHandler[] {
  const rate = perMinute(pushesPerMinute)
  return pushToken === null ? [thisMachine, rate] : [rate, bearer(pushToken)]
}

/** Refuses prefetch and prerender: an address bar loads known addresses before anybody has pressed Enter. */
const notAhead: RequestHandler = (req, _res, next) => {
  const purposes = ['Sec-Purpose', 'Purpose', 'X-Purpose', 'X-Moz'].map((name) => req.get(name) ?? '')
  if (purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose)))
    throw new HttpError(403, 'prefetch', 'State-changing requests are not executed for prefetch or prerender.')
  next()
}

/** `Forwarded`, `X-Forwarded`, `X-Forwarded-For`, `X-Original-Host`, `X-Real-IP`, `True-Client-IP`, `CF-Connecting-IP` and similar headers. */
const FORWARDED = /^(forwarded|via|cdn-loop|x-(forwarded|original)(-.*)?|(.*-)?(client|real|connecting)-?ip)$/

/**
 * Refuses requests that may come from another machine. The server listens on loopback, so they come through a local proxy. Most
 * proxies keep the `Host`, name the client in a header, or speak HTTP/1.0, as nginx does by default. A proxy that does none of
 * this cannot be detected.
 */
const thisMachine: RequestHandler = (req, _res, next) => {
  const proxied = req.httpVersion === '1.0' || Object.keys(req.headers).some((name) => FORWARDED.test(name))
  if (proxied || !isLoopback(hostName(req.headers.host ?? '')))
    throw new HttpError(
      403,
      'not-local',
      'This is only for the machine that the server runs on.',
      {},
      {
        setting: 'SSE_PUSH_TOKEN',
        text: 'is not set, so a request that came through a proxy or under another name was refused. Set it to allow them.',
      },
    )
  next()
}

/** Limits the requests per minute from one client. */
function perMinute(limit: number): RequestHandler {
  const limiter = rateLimit({
    windowMs: 60_000,
    limit,
    store: new RateWindow(60_000),
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    keyGenerator: (req) => clientKey(req),
    // The library's checks print advice with a stack trace; docs/deploy.md says what a proxy needs.
    validate: false,
    handler: (_req, res, next) => {
      const retryAfter = String(res.getHeader('Retry-After') ?? 60)
      const message = `More than ${limit} requests a minute from your address: wait ${retryAfter} s.`
      next(
        new HttpError(
          429,
          'rate',
          message,
          { 'Retry-After': retryAfter },
          {
            setting: 'PUSHES_PER_MINUTE',
            text: `a client sent more than ${limit}. If all clients come through a proxy, set TRUST_PROXY.`,
          },
        ),
      )
    },
  })
  // A client that has already left has no address, and nobody is there to answer.
  return (req, res, next) => (req.ip === undefined ? res.destroy() : limiter(req, res, next))
}

/** Requires the token as `Authorization: Bearer …`. */
function bearer(token: string): RequestHandler {
  const expected = digest(token)
  return (req, _res, next) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '') ?? []
    // Digests have equal lengths, and the time to compare them does not reveal how much of a guess is right.
    if (given === undefined || !timingSafeEqual(digest(given), expected))
      throw new HttpError(401, 'token', 'Send the push token as Authorization: Bearer <token>.', {
        'WWW-Authenticate': 'Bearer',
      })
    next()
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Refuses a body that is neither a form nor JSON: nobody would read it. */
const formOrJson: RequestHandler = (req, _res, next) => {
  if (hasBody(req) && !req.is(['urlencoded', 'json']))
    throw new HttpError(415, 'body', 'Send the body as application/x-www-form-urlencoded or as application/json.')
  next()
}
