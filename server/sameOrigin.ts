import type { RequestHandler } from 'express'
import { HttpError } from './httpError'

/**
 * Refuses what another site's page makes a browser send, also a page of the same machine on another port, which is `same-site`.
 *
 * Browsers send `Sec-Fetch-Site` to trustworthy origins only: those with TLS, and loopback. To all others they send `Origin` alone.
 * A page can change neither, and a request with neither does not come from a page.
 */
export const sameOrigin: RequestHandler = (req, _res, next) => {
  const site = req.get('Sec-Fetch-Site')
  const own =
    site === undefined ? isOwnOrigin(req.get('Origin'), req.headers.host) : ['same-origin', 'none'].includes(site)
  if (!own)
    throw new HttpError(403, 'cross-site', 'Only pages of this server, programs and the address bar may do this.')
  next()
}

/** Compares hosts only, since TLS may end at a proxy in front. A page with an opaque origin sends `null`. */
function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
}
