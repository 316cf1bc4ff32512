/**
 * One event as `text/event-stream` bytes. Pure: values in, bytes out.
 *
 * The grammar is in the HTML standard, section 9.2.5 "Parsing an event stream":
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */

/** The fields of one block of the stream. At least one must be present. */
export interface SseEvent {
  /** The browser sends it back as `Last-Event-ID`; `''` makes it forget the last id. No CR, LF, NUL or lone surrogate. */
  id?: string
  /** The event's type; if absent, the browser dispatches `message`. No CR, LF, NUL or lone surrogate. */
  event?: string
  /** Any text, even empty. Without `data` the browser dispatches nothing. A lone surrogate becomes U+FFFD. */
  data?: string
  /** How long the browser waits before it reconnects: milliseconds, a non-negative integer. */
  retry?: number
  /** Visible to curl and proxies, ignored by browsers: keeps the connection alive. */
  comment?: string
}

/** An event whose data may be any JSON value: strings are sent verbatim, everything else as JSON. */
interface JsonEvent extends Omit<SseEvent, 'data'> {
  data?: unknown
}

/**
 * What can be sent: an event, or its data alone. An object is always treated as an event, so send an object that is data
 * as `{ data: object }`.
 */
export type Sendable = JsonEvent | string | number | boolean | null | readonly unknown[]

/** The last event of a stream, which tells clients not to reconnect. */
export const closeEvent: SseEvent = { event: 'close', data: 'Connection closed by server' }

export type SseEncodeErrorKind = 'id' | 'event' | 'data' | 'retry' | 'empty'

/** A field that the wire format cannot carry. `kind` names the field; `empty` is an event with no field at all. */
export class SseEncodeError extends TypeError {
  override readonly name = 'SseEncodeError'
  readonly kind: SseEncodeErrorKind

  constructor(kind: SseEncodeErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

/** Turns what is sent into an event. @throws SseEncodeError `data` for what JSON cannot express. */
export function toEvent(value: Sendable): SseEvent {
  if (typeof value !== 'object' || value === null || isArray(value)) return { data: toText(value) }
  const { data, ...event } = value
  return data === undefined ? event : { ...event, data: toText(data) }
}

/** The type of `Array.isArray` does not include readonly arrays. */
const isArray: (value: object) => value is readonly unknown[] = Array.isArray

function toText(data: unknown): string {
  if (typeof data === 'string') return data
  let cause: unknown
  try {
    // Undefined for functions and symbols, contrary to its type.
    const json = JSON.stringify(data) as string | undefined
    if (json !== undefined) return json
  } catch (error) {
    cause = error
  }
  throw new SseEncodeError('data', 'data must be text, or a value that JSON can express.', { cause })
}

/**
 * Encodes one event, ended by its blank line.
 *
 * @throws SseEncodeError when `id` or `event` has a CR, LF, NUL or lone surrogate, when `retry` is not a non-negative
 * integer, or when no field is present.
 */
export function encode({ id, event, data, retry, comment }: SseEvent): Buffer {
  let block = ''
  if (comment !== undefined) block += lines(': ', comment)
  if (retry !== undefined) block += `retry: ${milliseconds(retry)}\n`
  if (event !== undefined) block += `event: ${oneLine('event', event)}\n`
  if (id !== undefined) block += `id: ${oneLine('id', id)}\n`
  if (data !== undefined) block += lines('data: ', data)
  if (block === '')
    throw new SseEncodeError(
      'empty',
      'An event needs at least one of id, event, data, retry and comment. An object that is data is sent as { data }.',
    )
  return Buffer.from(`${block}\n`)
}

/** The standard ends a line at CRLF, LF or a single CR: text is split at all three, so that none can end a field early. */
function lines(prefix: string, text: string): string {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => `${prefix}${line}\n`)
    .join('')
}

/** A line break here would start a field of the sender's choosing, and a browser ignores an id with a NUL. */
function oneLine(field: 'id' | 'event', value: string): string {
  if (/[\r\n]/.test(value) || value.includes('\0'))
    throw new SseEncodeError(field, `${field} must not contain CR, LF or NUL: remove or escape them.`)
  // What `isWellFormed` finds, without a newer library of types than copiers may have.
  if (/\p{Surrogate}/u.test(value))
    throw new SseEncodeError(field, `${field} must not contain a lone surrogate, which UTF-8 cannot carry: remove it.`)
  return value
}

function milliseconds(retry: number): number {
  if (!Number.isSafeInteger(retry) || retry < 0)
    throw new SseEncodeError('retry', `retry must be a non-negative integer of milliseconds, not ${retry}.`)
  return retry
}
