import type { ErrorRequestHandler, Response } from 'express'
import { HttpError, type Hint } from './httpError'
import { OperatorHints } from './operatorHints'
import { MAX_FIELDS } from './params'
import { SseEmitterError } from './sse/emitter'
import { EventLogError } from './sse/eventLog'
import { CapacityError } from './sse/streams'
import { DatabaseError } from './store/database'

/** Answers every error as JSON, without internals. What the operator can do goes to the log. */
export function errors(answered: (error: HttpError) => void): ErrorRequestHandler {
  const hints = new OperatorHints()
  return (error: unknown, req, res, next) => {
    // Without the query, which may contain user content.
    const report = (): void => console.error(`${req.method} ${req.path} failed:`, error)
    if (res.headersSent) {
      report()
      next(error)
      return
    }
    const known = toHttpError(error)
    if (known === null) report()
    if (known?.hint) hints.say(known.hint)
    const answer = known ?? new HttpError(500, 'internal', 'The server failed to answer. The reason is in its log.')
    answered(answer)
    sendError(res, answer)
  }
}

export function sendError(res: Response, { status, code, message, headers }: HttpError): void {
  // Left over from another answer, such as a file that could not be sent after all.
  for (const name of ['ETag', 'Last-Modified', 'Content-Encoding']) res.removeHeader(name)
  res.status(status).set(headers).type('json').json({ error: { code, message } })
}

function toHttpError(error: unknown): HttpError | null {
  if (error instanceof HttpError) return error
  if (error instanceof CapacityError) return busy(error.kind, error.message, error.retryAfter)
  if (error instanceof EventLogError) {
    if (error.kind === 'oversized') return new HttpError(413, 'content', error.message)
    const retryAfter = error.retryAfter ?? 5
    if (error.kind === 'unavailable')
      return new HttpError(503, error.kind, error.message, { 'Retry-After': String(retryAfter) })
    return busy(error.kind, error.message, retryAfter)
  }
  if (error instanceof DatabaseError) {
    // The message names the file, which only the operator should see.
    const hint = { setting: 'DATABASE_URL', text: error.message }
    return new HttpError(503, `database-${error.kind}`, DATABASE[error.kind], { 'Retry-After': '5' }, hint)
  }
  if (error instanceof SseEmitterError && error.kind === 'pipelined')
    return new HttpError(400, error.kind, error.message, { Connection: 'close' })
  if (!isClientError(error)) return null
  if (error.limit !== undefined)
    return new HttpError(
      413,
      'body',
      `The body has more than ${error.limit} bytes: send less.`,
      {},
      {
        setting: 'MAX_EVENT_BYTES',
        text: 'a body was refused that no content of this size needs.',
      },
    )
  return unreadable(error)
}

const DATABASE: Record<DatabaseError['kind'], string> = {
  unwritable: 'The database cannot be written. Nothing was changed; the reason is in the log of the server.',
  newer: 'The database was made by a newer version of this program. Nothing was changed: update the server.',
  unreachable: 'The database does not answer. Nothing was changed: try again later.',
  failed: 'The database failed. Nothing was changed; the reason is in the log of the server.',
}

/** Hints for the operator when the server has no room, by kind of capacity. */
const HINTS: Record<string, Hint> = {
  total: {
    setting: 'MAX_STREAMS',
    text: 'or nine tenths of the open files that `ulimit -n` allows are reached: new streams are refused.',
  },
  address: {
    setting: 'MAX_STREAMS_PER_ADDRESS',
    text: 'is reached by one client. If all clients come through a proxy, set TRUST_PROXY.',
  },
  channels: { setting: 'MAX_CHANNELS', text: 'is reached: new channels are refused.' },
  bytes: { setting: 'MAX_LOG_BYTES', text: 'is reached: events are refused.' },
}

function busy(kind: string, message: string, retryAfter: number): HttpError {
  return new HttpError(503, `capacity-${kind}`, message, { 'Retry-After': String(retryAfter) }, HINTS[kind] ?? null)
}

/** Messages of our own: a parser's may quote its input. */
function unreadable({ status, type, message }: ClientError): HttpError {
  switch (type) {
    case undefined:
      return new HttpError(status, 'request', `The request cannot be read: ${message}.`)
    case 'parameters.too.many':
      return new HttpError(status, 'body', `The form has more than ${MAX_FIELDS} fields: send fewer.`)
    case 'entity.parse.failed':
      return new HttpError(status, 'body', 'The body must be a JSON object, as {"id":"a","content":"x"}.')
    case 'charset.unsupported':
    case 'encoding.unsupported':
      return new HttpError(status, 'body', 'The body must be UTF-8, and may be compressed with gzip, deflate or br.')
    default:
      return new HttpError(status, 'body', 'The body cannot be read: it has another length than its header says.')
  }
}

type ClientError = Error & { status: number; limit?: number; type?: string }

/** Whether Express or a body parser threw this for a request that it cannot read. */
function isClientError(error: unknown): error is ClientError {
  return error instanceof Error && 'status' in error && Number(error.status) >= 400 && Number(error.status) < 500
}
