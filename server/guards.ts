import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { rateLimit } from 'express-rate-limit'
import { isHandshake } from './handshake'
import { HttpError } from './httpError'

/**
 * Refuses a `Host` that is not served. A page of another site could otherwise let its own name point to this address, and would
 * then be of the same origin (DNS rebinding). That takes a name: addresses are always served.
 */
export function servedHosts(names: readonly string[]): RequestHandler {
  const served = new Set(['localhost', ...names.map((name) => name.toLowerCase())])
  return (req, _res, next) => {
    const host = req.headers.host?.toLowerCase()
    if (host === undefined) throw new HttpError(400, 'host', 'A request needs a Host.')
    const [, address = '', name = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
    if (!isIPv6(address) && !isIPv4(name) && !served.has(name))
      throw new HttpError(421, 'host', 'This Host is not served here: add its name to ALLOWED_HOSTS.')
    next()
  }
}

/**
 * Refuses what another site's page makes a browser send, also one of the same machine on another port, which is `same-site`.
 * Browsers set the header and let no page change it; a request without it is no page's.
 */
export const sameOrigin: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site') ?? 'none'
  if (site !== 'same-origin' && site !== 'none')
    throw new HttpError(403, 'cross-site', 'Only pages of this server, curl and the address bar may do this.')
  next()
}

/** Routes that change something answer GET, so that people can try them in the address bar, and POST. A HEAD must not change anything. */
export const getOrPost: RequestHandler = (req, _res, next) => {
  if (req.method !== 'GET' && req.method !== 'POST')
    throw new HttpError(405, 'method', 'Use GET or POST.', { Allow: 'GET, POST' })
  next()
}

/** Refuses a WebSocket handshake for any other path than this one: nobody reads its connection as HTTP any more, for a body or another request. */
export function noHandshake(except: string): RequestHandler {
  return (req, _res, next) => {
    if (isHandshake(req) && !(req.method === 'GET' && req.path === except))
      throw new HttpError(404, 'not-found', `There is no WebSocket at ${req.path}.`)
    next()
  }
}

/** Refuses a body where none belongs: nobody would read it, and its connection could not be used again. */
export const noBody: RequestHandler = (req, _res, next) => {
  if (hasBody(req) && req.method !== 'POST')
    throw new HttpError(400, 'body', `A ${req.method} has no body here: leave it away, or use POST.`, {
      Connection: 'close',
    })
  next()
}

/** Refuses a body that is neither a form nor JSON: nobody would read it. */
export const formOrJson: RequestHandler = (req, _res, next) => {
  if (hasBody(req) && !req.is(['urlencoded', 'json']))
    throw new HttpError(415, 'body', 'Send the body as application/x-www-form-urlencoded or as application/json.')
  next()
}

function hasBody({ headers }: Request): boolean {
  return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
}

/** Asks for the token, if there is one, as `Authorization: Bearer …`. */
export function bearer(token: string | null): RequestHandler {
  if (token === null) return (_req, _res, next) => next()
  const wanted = digest(token)
  return (req, _res, next) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '') ?? []
    // Digests are of one length, and are compared in a time that says nothing about how much of them is right.
    if (given === undefined || !timingSafeEqual(digest(given), wanted))
      throw new HttpError(401, 'token', 'Send the push token as Authorization: Bearer <SSE_PUSH_TOKEN>.', {
        'WWW-Authenticate': 'Bearer',
      })
    next()
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** At most so many requests a minute from one client address. */
export function perMinute(limit: number): RequestHandler {
  const limiter = rateLimit({
    windowMs: 60_000,
    limit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    handler: (_req, res, next) => {
      const retryAfter = res.getHeader('Retry-After')
      const message = `More than ${limit} requests a minute from your address: wait, or raise PUSHES_PER_MINUTE.`
      next(new HttpError(429, 'rate', message, { 'Retry-After': String(retryAfter ?? 60) }))
    },
  })
  // A client that has left by now has no address, which the limiter cannot do without; nor is there anybody to answer.
  return (req, res, next) => (req.ip === undefined ? res.destroy() : limiter(req, res, next))
}
