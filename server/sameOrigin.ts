import type { RequestHandler } from 'express'
import { HttpError } from './httpError'

/**
 * Refuses requests that another site's page makes a browser send, including a page on another port of this machine, which is
 * `same-site`.
 *
 * Browsers send `Sec-Fetch-Site` only to trustworthy origins: those with TLS, and loopback. To all others they send `Origin`, which
 * a GET does not always have, and `Referer`, which a page can suppress but not forge. A request with none of them is assumed to
 * come from a program.
 */
export const sameOrigin: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site')
  const source = req.get('Origin') ?? (req.get('Referer') || undefined)
  const own = site === undefined ? isOwn(source, req.headers.host) : ['same-origin', 'none'].includes(site)
  if (!own)
    throw new HttpError(403, 'cross-site', 'Only pages of this server, programs and the address bar may do this.')
  next()
}

/** Compares only hosts, because TLS may end at a proxy in front. A page with an opaque origin sends `null`. */
function isOwn(source: string | undefined, host: string | undefined): boolean {
  if (source === undefined) return true
  return URL.canParse(source) && new URL(source).host === host?.toLowerCase()
}
