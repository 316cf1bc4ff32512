/**
 * fetchTransport 1.0.0: headers, POST and HTTP errors for useEventSource.
 *
 * Copy it beside useEventSource.ts; it needs `npm i eventsource-parser@4`: version 3 does not tell of ids without data. From the
 * vue-sse project, client/composables/fetchTransport.ts. MIT licence: keep this header.
 *
 *     const transport = fetchTransport({ headers: async () => ({ Authorization: `Bearer ${await freshToken()}` }) })
 *     const { content } = useEventSource('/sse', { transport })
 *
 * The sections named below are those of the HTML standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import { createParser } from 'eventsource-parser'
import type { Transport, TransportConnection, TransportRequest, TransportSink } from './useEventSource'

export interface FetchTransportOptions {
  /** A request with another method than GET is made once: only `retry.decide` can have it repeated. @default 'GET' */
  method?: string
  /** A function is asked again for every attempt: the place for fresh tokens. */
  headers?: HeadersInit | (() => HeadersInit | Promise<HeadersInit>)
  /** A function is asked again for every attempt. */
  body?: BodyInit | null | (() => BodyInit | null | Promise<BodyInit | null>)
  /** What makes the request. @default the global fetch */
  fetch?: (input: string, init: RequestInit) => Promise<Response>
  /**
   * What it means when the server ends the response without a word: `reconnect`, as in the standard, or `close`, for servers that
   * end when they have sent everything. @default 'reconnect'
   */
  eof?: 'reconnect' | 'close'
}

/** Characters of the body that an error carries, and milliseconds that they may take to arrive. */
const BODY_START = 2_000
const BODY_TIMEOUT = 1_000

/** A transport over `fetch`: it can send headers and a body, and sees the status of the response. */
export function fetchTransport(options: FetchTransportOptions = {}): Transport {
  const transport = (request: TransportRequest, sink: TransportSink): TransportConnection => {
    const abort = new AbortController()
    void stream(request, sink, options, abort.signal)
    return { listen: () => undefined, close: () => abort.abort() }
  }
  return Object.assign(transport, { receivesAllEvents: true })
}

async function stream(
  request: TransportRequest,
  sink: TransportSink,
  options: FetchTransportOptions,
  signal: AbortSignal,
): Promise<void> {
  const { method = 'GET', eof = 'reconnect' } = options
  const once = method.toUpperCase() !== 'GET'

  try {
    const init = await requestInit(request, options, method, signal)
    if (signal.aborted) return
    const response = await (options.fetch ?? fetch)(request.url, init)
    // A fetch of the caller's may not know the signal.
    signal.addEventListener('abort', () => void response.body?.cancel().catch(() => undefined))
    signal.throwIfAborted()

    if (response.status === 204) {
      sink.end('no-content')
      return
    }
    const type = response.headers.get('Content-Type') ?? ''
    // Parameters of the type are ignored, also the charset: an event stream is always UTF-8 (section 9.2.3).
    const isStream = type.split(';')[0]?.trim().toLowerCase() === 'text/event-stream'
    if (response.status !== 200 || !isStream) {
      const { status, headers } = response
      const body = await bodyStart(response)
      sink.fail({
        ...(status === 200
          ? { kind: 'content-type', message: `The server sent "${type}" and no event stream.` }
          : { kind: 'http', message: `The server answered ${status}.` }),
        status,
        headers,
        body,
        retryAfter: retryAfter(headers),
        once,
      })
      return
    }

    sink.open()
    await read(response, request, sink, signal)
    // What has not been ended by an empty line is dropped, and its id with it (section 9.2.6).
    if (eof === 'close') sink.end('ended')
    else sink.fail({ kind: 'network', message: 'The server ended the response.', once })
  } catch (cause) {
    // A refused connection, an unknown host and a cross-origin answer without permission are one TypeError.
    if (!signal.aborted) sink.fail({ kind: 'network', message: 'The connection failed.', cause, once })
  }
}

async function requestInit(
  { lastEventId, withCredentials }: TransportRequest,
  { headers, body }: FetchTransportOptions,
  method: string,
  signal: AbortSignal,
): Promise<RequestInit> {
  const all = new Headers(typeof headers === 'function' ? await headers() : headers)
  if (!all.has('Accept')) all.set('Accept', 'text/event-stream')
  // A header takes bytes, one a character: the id's are those of its UTF-8.
  if (lastEventId) all.set('Last-Event-ID', String.fromCharCode(...new TextEncoder().encode(lastEventId)))
  return {
    method,
    headers: all,
    body: (typeof body === 'function' ? await body() : body) ?? null,
    credentials: withCredentials ? 'include' : 'same-origin',
    // Sends Cache-Control: no-cache, which as a header of ours would need a CORS preflight.
    cache: 'no-store',
    signal,
  }
}

/** Reads to the end of the body, one chunk at a time: the next is asked for when the last has been handed on. */
async function read(
  { body }: Response,
  { lastEventId }: TransportRequest,
  sink: TransportSink,
  signal: AbortSignal,
): Promise<void> {
  let id = lastEventId
  const parser = createParser({
    // Called at the empty line that ends a block, before its event (section 9.2.6).
    onId: (value) => {
      id = value
      sink.id(id)
    },
    onEvent: ({ event = 'message', data }) => sink.message({ event, data, id }),
    onRetry: (delay) => sink.retry(delay),
  })
  // The parser strips one byte order mark. A decoder that strips one too would make it two.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  const reader = body?.getReader()
  for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
    // Comments have no event, but show that the connection is alive.
    sink.activity()
    parser.feed(decoder.decode(chunk.value, { stream: true }))
    if (signal.aborted) await reader?.cancel()
  }
}

/** What an error page begins with. One that does not end must not keep the error from being told. */
async function bodyStart({ body }: Response): Promise<string> {
  const reader = body?.getReader()
  const decoder = new TextDecoder()
  let text = ''
  const timer = setTimeout(() => void reader?.cancel(), BODY_TIMEOUT)
  try {
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read()) {
      text += decoder.decode(chunk.value, { stream: true })
      if (text.length >= BODY_START) break
    }
  } catch {
    // Less of it, then.
  }
  clearTimeout(timer)
  void reader?.cancel().catch(() => undefined)
  return text.slice(0, BODY_START)
}

/** `Retry-After` in milliseconds: it is a number of seconds or a date. */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('Retry-After')
  if (value === null) return undefined
  const delay = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return Number.isNaN(delay) ? undefined : Math.max(0, delay)
}
