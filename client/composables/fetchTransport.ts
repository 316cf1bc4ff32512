/**
 * fetchTransport 2.0.0: headers, POST and HTTP errors for useEventSource.
 *
 * Copy it beside useEventSource.ts; it needs `npm i eventsource-parser@4` (version 3 does not report ids without data). From the
 * project vue-event-stream, client/composables/fetchTransport.ts; CHANGELOG.md there says what changed between versions. MIT
 * licence: keep this header.
 *
 *     const transport = fetchTransport({ headers: async () => ({ Authorization: `Bearer ${await freshToken()}` }) })
 *     const { content } = useEventSource('/sse', { transport })
 *
 * Sections are those of the HTML standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { createParser } from 'eventsource-parser'
import type {
  ConnectionFailure,
  Transport,
  TransportConnection,
  TransportRequest,
  TransportSink,
} from './useEventSource'

export interface FetchTransportOptions {
  /**
   * Methods other than GET may change state: once sent, such a request is repeated only if `retry.decide` says so.
   * @default 'GET', or 'POST' with a body
   */
  method?: string | undefined
  /** A function is called for every attempt, so it can return a fresh token. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>) | undefined
  /** A function is called for every attempt. */
  body?: BodyInit | null | (() => BodyInit | null | Promise<BodyInit | null>) | undefined
  /** Makes the request. @default the global fetch */
  fetch?: ((input: string, init: RequestInit) => Promise<Response>) | undefined
  /**
   * What the end of the response means: `reconnect`, as in the standard, or `close`, for servers that end the response once they
   * have sent everything. @default 'reconnect' for GET, 'close' for all other methods
   */
  eof?: 'reconnect' | 'close' | undefined
}

/** Characters of the body that an error carries, and the milliseconds they may take to arrive. */
const BODY_START = 2_000
const BODY_TIMEOUT = 1_000

/** Characters of one event or unfinished line. A server that sends more would fill the page's memory. */
const MAX_EVENT = 2 ** 26

/** A transport over `fetch`: it can send headers and a body, and sees the status of the response. */
export function fetchTransport(options: FetchTransportOptions = {}): Transport {
  const transport = (request: TransportRequest, sink: TransportSink): TransportConnection => {
    const abort = new AbortController()
    void stream(request, sink, options, abort.signal)
    return { listen: () => undefined, close: () => abort.abort() }
  }
  return Object.assign(transport, { receivesAllEvents: true, once: !isGet(methodOf(options)) })
}

async function stream(
  request: TransportRequest,
  sink: TransportSink,
  options: FetchTransportOptions,
  signal: AbortSignal,
): Promise<void> {
  const method = methodOf(options)
  const { eof = isGet(method) ? 'reconnect' : 'close' } = options

  let init: RequestInit
  try {
    init = await requestInit(request, options, method, signal)
  } catch (cause) {
    sink.fail({ kind: 'request', message: 'The request could not be prepared.', cause })
    return
  }

  let reader: Reader | undefined
  try {
    if (signal.aborted) return
    const response = await (options.fetch ?? fetch)(request.url, init)
    reader = response.body?.getReader()
    // The caller's own `fetch` may ignore the signal: then only this closes the connection.
    whenAborted(signal, () => void reader?.cancel().catch(() => undefined))

    if (response.status === 204) {
      sink.end('no-content')
      return
    }
    const failure = failureOf(response)
    if (failure) {
      sink.fail({ ...failure, body: await bodyStart(reader) })
      return
    }
    sink.open()
    await read(reader, request, sink)
    // An unfinished block, without its empty line, is dropped together with its id (section 9.2.6).
    if (eof === 'close') sink.end('ended')
    else sink.fail({ kind: 'network', message: 'The server ended the response.' })
  } catch (cause) {
    // A refused connection, an unknown host and a response that CORS forbids are all the same TypeError.
    sink.fail({ kind: 'network', message: 'The connection failed.', cause })
  } finally {
    void reader?.cancel().catch(() => undefined)
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>

function methodOf({ method, body }: FetchTransportOptions): string {
  return method ?? (body === undefined || body === null ? 'GET' : 'POST')
}

function isGet(method: string): boolean {
  return method.toUpperCase() === 'GET'
}

function whenAborted(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback()
  else signal.addEventListener('abort', callback)
}

async function requestInit(
  { lastEventId, withCredentials }: TransportRequest,
  { headers, body }: FetchTransportOptions,
  method: string,
  signal: AbortSignal,
): Promise<RequestInit> {
  const all = new Headers(typeof headers === 'function' ? await headers() : headers)
  if (!all.has('Accept')) all.set('Accept', 'text/event-stream')
  if (lastEventId) all.set('Last-Event-ID', bytesAsText(lastEventId))
  const content = (typeof body === 'function' ? await body() : body) ?? null
  return {
    method,
    headers: all,
    body: content,
    // Required if the body is a stream.
    ...(content instanceof ReadableStream && { duplex: 'half' }),
    credentials: withCredentials ? 'include' : 'same-origin',
    // Sends `Cache-Control: no-cache`; setting that header here would need a CORS preflight.
    cache: 'no-store',
    signal,
  }
}

/** Reads the body to its end, and each chunk only after the previous one was handed on. */
async function read(reader: Reader | undefined, { lastEventId }: TransportRequest, sink: TransportSink): Promise<void> {
  let id = lastEventId
  let hasIdAlone = false
  // An id takes effect with its event. If it were reported first, a page that stops in between would resume after an event it never got.
  const reportIdAlone = (): void => {
    if (hasIdAlone) sink.id(id)
    hasIdAlone = false
  }
  const parser = createParser({
    maxBufferSize: MAX_EVENT,
    // Called at the empty line that ends a block, before its event if it has one (section 9.2.6).
    onId: (value) => {
      reportIdAlone()
      id = value
      hasIdAlone = true
    },
    onEvent: ({ event = 'message', data }) => {
      hasIdAlone = false
      sink.message({ event, data, id })
    },
    onRetry: (delay) => sink.retry(delay),
  })
  // The parser strips a byte order mark, and only one may be stripped.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
    // Comments have no event, but show that the connection is alive.
    sink.activity()
    parser.feed(decoder.decode(chunk.value, { stream: true }))
    reportIdAlone()
  }
}

/** What is wrong with a response, or null if it is an event stream (section 9.2.3). */
function failureOf({ status, headers }: Response): ConnectionFailure | null {
  if (status !== 200)
    return {
      kind: 'http',
      message: `The server answered ${status}.`,
      status,
      headers,
      retryAfter: retryAfterOf(headers),
    }
  // A repeated header is joined by commas. Parameters are ignored, even the charset: an event stream is always UTF-8.
  const type = headers.get('Content-Type') ?? ''
  if (/^text\/event-stream\s*(;|,|$)/i.test(type)) return null
  const message = `The server sent "${type}" instead of an event stream.`
  return { kind: 'content-type', message, status, headers }
}

/** `Retry-After` in milliseconds: a whole number of seconds, or a date. Anything else is ignored. */
function retryAfterOf(headers: Headers): number | undefined {
  const value = headers.get('Retry-After') ?? ''
  const delay = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return delay >= 0 ? delay : undefined
}

/** UTF-8 as a string of one character per byte, as headers require. */
function bytesAsText(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('')
}

/** The beginning of an error page. A page that never ends must not hold the error back. */
async function bodyStart(reader: Reader | undefined): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  const timer = setTimeout(() => void reader?.cancel().catch(() => undefined), BODY_TIMEOUT)
  try {
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
      text += decoder.decode(chunk.value, { stream: true })
      if (text.length >= BODY_START) break
    }
  } catch {
    // What has arrived will do.
  } finally {
    clearTimeout(timer)
  }
  return text.slice(0, BODY_START)
}
