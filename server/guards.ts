import { isIPv4, isIPv6 } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { isHandshake } from './handshake'
import { HttpError } from './httpError'

/**
 * Refuses a `Host` that is not served. Otherwise another site could point its own name to this address, and its pages would then be
 * of the same origin (DNS rebinding). That takes a name, so addresses are always served.
 */
export function servedHosts(names: readonly string[]): RequestHandler {
  const served = new Set(['localhost', ...names.map((name) => name.toLowerCase())])
  return (req, _res, next) => {
    const { host } = req.headers
    if (host === undefined) throw new HttpError(400, 'host', 'A request needs a Host.')
    // Node takes the first of several, but a proxy in front may have used another one, or the address (RFC 9112, section 3.2).
    const hosts = req.rawHeaders.filter((name, n) => n % 2 === 0 && name.toLowerCase() === 'host')
    if (hosts.length > 1) throw new HttpError(400, 'host', 'A request has one Host: send it once.')
    if (!req.originalUrl.startsWith('/')) throw new HttpError(400, 'request', 'The address must begin with a slash.')
    const name = hostName(host)
    if (!isIPv6(name) && !isIPv4(name) && !served.has(name))
      throw new HttpError(
        421,
        'host',
        'This server does not serve that host name.',
        {},
        {
          setting: 'ALLOWED_HOSTS',
          text: `refused a request for ${JSON.stringify(host.slice(0, 100))}. If this server should answer to that name, add it.`,
        },
      )
    next()
  }
}

/** The name or address in a `Host` header, in lower case, without port and brackets; empty if it is malformed. */
export function hostName(host: string): string {
  const [, address = '', name = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d*)?$/.exec(host.toLowerCase()) ?? []
  return isIPv6(address) ? address : name
}

/** Refuses WebSocket handshakes for any other path: nobody reads their connection as HTTP any more, for a body or another request. */
export function noHandshake(except: string): RequestHandler {
  return (req, _res, next) => {
    if (isHandshake(req) && !(req.method === 'GET' && req.path === except))
      throw new HttpError(404, 'not-found', `There is no WebSocket at ${req.path}.`)
    next()
  }
}

/** Refuses an unexpected body: nobody would read it, and its connection could not be reused. */
export const noBody: RequestHandler = (req, _res, next) => {
  if (hasBody(req) && !['POST', 'PATCH'].includes(req.method))
    throw new HttpError(400, 'body', `A ${req.method} has no body here: send it without one, or use POST.`, {
      Connection: 'close',
    })
  next()
}

export function hasBody({ headers }: Request): boolean {
  return Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
}
