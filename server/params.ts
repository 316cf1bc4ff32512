import type { Request } from 'express'
import { CHANNEL_ID } from '../shared/demos/channel'
import { HttpError } from './httpError'

/** The most fields of a form. No route needs as many. */
export const MAX_FIELDS = 20

/**
 * One parameter, from a form or JSON body, else from the query. Null if it is absent.
 *
 * @throws HttpError 400 if it is repeated or is not text.
 */
export function param(req: Request, name: string): string | null {
  const body = req.body as Record<string, unknown> | null | undefined
  const value = body && typeof body === 'object' && Object.hasOwn(body, name) ? body[name] : req.query[name]
  if (value === undefined) return null
  if (typeof value !== 'string') throw bad(name, `${name} must be one text: give it once.`)
  return value
}

/**
 * The last event id that the client sends, untrusted; null if it sends none. The header wins: when the browser reconnects by
 * itself, it repeats the query, which is out of date by then.
 *
 * @throws HttpError 400 if the one in the query is repeated.
 */
export function lastEventId(req: Request): string | null {
  return req.get('Last-Event-ID') ?? param(req, 'lastEventId')
}

/** The id of a channel. @throws HttpError 400 */
export function idParam(req: Request): string {
  const id = param(req, 'id')
  if (id === null || !CHANNEL_ID.test(id))
    throw bad('id', 'id must have 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_", "~" and "-".')
  return id
}

/** Text of at most `maxBytes` bytes. @throws HttpError 400, 413 */
export function contentParam(req: Request, maxBytes: number): string {
  const content = param(req, 'content')
  if (content === null) throw bad('content', 'content is missing: it may be empty, as in content=, but must be there.')
  if (!content.isWellFormed())
    throw bad('content', 'content has a lone surrogate, which UTF-8 cannot carry: remove it.')
  const bytes = Buffer.byteLength(content)
  if (bytes > maxBytes)
    throw new HttpError(
      413,
      'content',
      `content has ${bytes} bytes, more than ${maxBytes}: send less.`,
      {},
      {
        setting: 'MAX_EVENT_BYTES',
        text: `a content of ${bytes} bytes was refused.`,
      },
    )
  return content
}

/** Text for people: trimmed, not empty, and of at most `maxLength` UTF-16 code units, as a page counts them. @throws HttpError 400, 413 */
export function textParam(req: Request, name: string, maxLength: number): string {
  const text = param(req, name)?.trim() ?? ''
  if (text === '') throw bad(`${name}-empty`, `${name} is missing or empty: write something.`)
  if (!text.isWellFormed()) throw bad(name, `${name} has a lone surrogate, which UTF-8 cannot carry: remove it.`)
  if (text.length > maxLength)
    throw new HttpError(
      413,
      `${name}-long`,
      `${name} has ${text.length} characters, more than ${maxLength}: shorten it.`,
    )
  return text
}

/** An integer, or the fallback if it is absent. @throws HttpError 400 */
export function integerParam(req: Request, name: string, fallback: number, min: number, max: number): number {
  const text = param(req, name)
  if (text === null) return fallback
  const value = Number(text)
  if (!/^\d{1,15}$/.test(text) || value < min || value > max)
    throw bad(name, `${name} must be an integer from ${min} to ${max}.`)
  return value
}

/** Null if it is absent. @throws HttpError 400 */
export function booleanParam(req: Request, name: string): boolean | null {
  const text = param(req, name)
  if (text !== null && text !== 'true' && text !== 'false') throw bad(name, `${name} must be true or false.`)
  return text === null ? null : text === 'true'
}

function bad(code: string, message: string): HttpError {
  return new HttpError(400, code, message)
}
