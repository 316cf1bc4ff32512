import type { RequestHandler, Router } from 'express'
import { HttpError } from './httpError'

/** Refuses every method but these, with 405. */
export function only(...allowed: readonly string[]): RequestHandler {
  return (req, _res, next) => {
    if (!allowed.includes(req.method))
      throw new HttpError(405, 'method', `Use ${allowed.join(' or ')}.`, { Allow: allowed.join(', ') })
    next()
  }
}

/**
 * Adds a 405 to `refusals` for each path of a router, for all methods that it does not serve there. Routes for all methods decide
 * by themselves.
 */
export function refuseOtherMethods(refusals: Router, router: Router): void {
  const methods = new Map<string, Set<string>>()
  for (const { path, stack } of routesOf(router))
    // The types do not know that a route may have several paths.
    for (const one of [path].flat()) {
      const allowed = methods.get(one) ?? new Set()
      methods.set(one, allowed)
      for (const { method } of stack) for (const name of served(method)) allowed.add(name)
    }
  for (const [path, allowed] of methods) if (allowed.size > 0) refusals.all(path, only(...allowed))
}

type Route = NonNullable<Router['stack'][number]['route']>

function routesOf({ stack }: Router): Route[] {
  return stack.flatMap(({ route, handle }) => (route ? [route] : 'stack' in handle ? routesOf(handle as Router) : []))
}

/** Express answers HEAD with the GET route. A layer for all methods has no method. */
function served(method: string | undefined): string[] {
  if (method === undefined) return []
  return method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]
}
