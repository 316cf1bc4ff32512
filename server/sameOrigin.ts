import type { RequestHandler } from 'express'
import { HttpError } from './httpError'

/**
 * Refuses what another site's page makes a browser send, also a page of the same machine on another port, which is `same-site`.
 *
 * Browsers send `Sec-Fetch-Site` to addresses that they trust: those with TLS, and those of this machine. To all others they send
 * `Origin` alone. Neither can be changed by a page, and a request without both is no page's.
 */
export const sameOrigin: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site')
  const own =
    site === undefined ? isOwnOrigin(req.get('Origin'), req.headers.host) : ['same-origin', 'none'].includes(site)
  if (!own)
    throw new HttpError(403, 'cross-site', 'Only pages of this server, programs and the address bar may do this.')
  next()
}

/** The scheme is not compared: TLS may end at a proxy in front. A page without an origin sends `null`. */
function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
}
