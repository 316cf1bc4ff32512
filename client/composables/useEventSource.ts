/**
 * useEventSource 1.0.0: Server-Sent Events for Vue 3.3 and later.
 *
 * One file to copy; it imports `vue` and nothing else. From the vue-sse project, client/composables/useEventSource.ts.
 * MIT licence: keep this header.
 *
 *     const { content, status, start, stop } = useEventSource('/sse')
 *
 *     <button @click="start">Start</button>
 *     <button @click="stop">Stop</button>
 *     <output>{{ status }}</output> <pre>{{ content }}</pre>
 *
 * How it is built: a transport is one connection and reports what it sees; the composable owns every decision. What comes
 * from a connection passes through `receive`, is given to handlers at once, and reaches the refs once a frame. The sections
 * named below are those of the HTML standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import {
  getCurrentScope,
  onScopeDispose,
  shallowRef,
  toRef,
  toValue,
  triggerRef,
  watch,
  type MaybeRefOrGetter,
  type Ref,
  type ShallowRef,
} from 'vue'

// ---------------------------------------------------------------------------------------------------------------------
// What the page sees

/**
 * | status         | meaning                                                              |
 * |----------------|----------------------------------------------------------------------|
 * | `idle`         | not started, or there is no URL                                      |
 * | `connecting`   | started, and the server has not answered yet                         |
 * | `open`         | the server has answered, and events can arrive                       |
 * | `reconnecting` | the connection was lost or refused, and the next one is due or tried |
 * | `closed`       | over, as intended: by `stop()`, or by the server                     |
 * | `failed`       | over, and not as intended: `error` says why                          |
 */
export type EventSourceStatus = 'idle' | 'connecting' | 'open' | 'reconnecting' | 'closed' | 'failed'

/**
 * - `network`: the connection was lost or never made
 * - `refused`: native EventSource gave up, and hides why: 204, 404, 503 and a wrong content type look the same to it
 * - `http`: the server answered with a status that is no stream; see `status`
 * - `content-type`: the server answered with something else than `text/event-stream`
 * - `invalid-url`: the URL cannot be parsed or is not http(s)
 * - `unsupported`: there is no EventSource here, or the transport could not start
 */
export type ConnectionErrorKind = 'network' | 'refused' | 'http' | 'content-type' | 'invalid-url' | 'unsupported'

/** Besides a connection's errors: `decode`, a decoder threw; `handler`, a handler, `reduce` or another callback threw. */
export type EventSourceErrorKind = ConnectionErrorKind | 'decode' | 'handler'

/**
 * Why the status is what it is; null while idle, connecting and open.
 *
 * - `stopped`: `stop()` was called, or the component is gone
 * - `finished`: the done event came
 * - `no-content`: the server answered 204, its way to say that there is no more (section 9.2.3)
 * - `ended`: the server ended the response, and the transport takes that for the end
 */
export type EventSourceReason = 'stopped' | 'finished' | 'no-content' | 'ended' | ConnectionErrorKind

/** An event as it came: `id` is the last event id at that point, which stays until the server sends another (section 9.2.6). */
export interface RawEvent {
  readonly event: string
  readonly data: string
  readonly id: string
}

interface EventSourceErrorDetails {
  /** The HTTP status, where the transport can see it. */
  status?: number | undefined
  /** The start of the body that came with the status. */
  body?: string | undefined
  /** Milliseconds to wait, from the `Retry-After` header. */
  retryAfter?: number | undefined
  /** The event that could not be decoded. */
  event?: RawEvent | undefined
  cause?: unknown
}

/** Anything that went wrong, told apart by `kind`. */
export class EventSourceError<Kind extends EventSourceErrorKind = EventSourceErrorKind> extends Error {
  readonly kind: Kind
  readonly status: number | undefined
  readonly body: string | undefined
  readonly retryAfter: number | undefined
  readonly event: RawEvent | undefined

  constructor(kind: Kind, message: string, details: EventSourceErrorDetails = {}) {
    super(message)
    // Not through super, which takes it from ES2022 on: many a project still compiles with ES2020.
    ;(this as { cause?: unknown }).cause = details.cause
    this.name = 'EventSourceError'
    this.kind = kind
    this.status = details.status
    this.body = details.body
    this.retryAfter = details.retryAfter
    this.event = details.event
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Events and their types

/** What makes typed data of an event's text. It may throw: the event then goes to `error`, and to no handler. */
export type Decoder<Data = unknown> = (raw: string) => Data

/** One decoder for each event whose data is not plain text, by the event's name. */
export type DecoderMap = Record<string, Decoder | undefined>

type NoDecoders = Record<never, undefined>

/**
 * The decoders that an event map needs: one for every event that is not a string, so that no text can pass for an object.
 *
 *     interface PriceEvents { price: { symbol: string; value: number }; note: string }
 *     const decode: Decoders<PriceEvents> = { price: (raw) => parsePrice(raw) }
 */
export type Decoders<Events extends object> = {
  [Name in keyof Events as string extends Events[Name] ? never : Name]: Decoder<Events[Name]>
} & { [Name in keyof Events as string extends Events[Name] ? Name : never]?: Decoder<Events[Name]> }

/** `any`, as `JSON.parse` returns it, becomes `unknown`: it has to be looked at before it is used. */
type NotAny<Data> = 0 extends 1 & Data ? unknown : Data

/** Names and data of the events that `reduce` and `last` see. `message` is always among them. */
export type EventsOf<Decode extends DecoderMap, Name extends string> = {
  [Event in (keyof Decode & string) | Name | 'message']: NonNullable<Decode[Event]> extends Decoder<infer Data>
    ? NotAny<Data>
    : string
}

/** One event, its data decoded: a union discriminated by `event`. */
export type EventOf<Events> = {
  [Name in keyof Events]: { readonly event: Name; readonly data: Events[Name]; readonly id: string }
}[keyof Events]

/** The data of an event by its name: text if nothing is known of it, and unknown if the name is not known itself. */
type DataOf<Events, Name extends string> = string extends Name
  ? unknown
  : Name extends keyof Events
    ? Events[Name]
    : string

// ---------------------------------------------------------------------------------------------------------------------
// Options

export interface RetryOptions {
  /** Milliseconds: the longest first delay; it doubles with each attempt. The server's `retry:` takes its place. @default 1_000 */
  base?: number
  /** Milliseconds: no delay and no server's `retry:` is longer. @default 30_000 */
  cap?: number
  /** Attempts before the status is `failed`. Those that the browser makes by itself do not count. @default 5 */
  max?: number
  /** Milliseconds that a connection has to last before attempts are counted from 0 again. @default 5_000 */
  stableAfter?: number
  /** Whether to try again: true, false, or after how many milliseconds. The default tries again what may pass by itself. */
  decide?: (error: EventSourceError<ConnectionErrorKind>, attempt: number) => boolean | number
}

export interface EventSourceOptions<Decode extends DecoderMap, Name extends string, Done extends string> {
  /** Start without being asked. @default false */
  immediate?: boolean
  /** Decoders by event name; they type the events. Without one, data is the text as it came. */
  decode?: Decode
  /** Further events that `reduce` and `last` should see, besides `message` and those of `decode`. */
  events?: readonly Name[]
  /** Characters of string content to keep, the newest. @default all */
  limit?: number
  /** The event that ends the stream for good: its name, a predicate, or false if there is none. @default 'close' */
  doneOn?: Done | false | ((event: EventOf<EventsOf<Decode, Name>>) => boolean)
  /** False never reconnects. */
  retry?: false | RetryOptions
  /** When refs change: once an animation frame, or with each event. Handlers never wait. @default 'frame' */
  flush?: 'frame' | 'sync'
  /** Send cookies to another origin. @default false */
  withCredentials?: boolean
  /** The query parameter that carries the last event id where a header cannot be set; false for none. @default 'lastEventId' */
  lastEventIdParam?: string | false
  /** @default nativeTransport */
  transport?: Transport
}

export interface Reduction<Content, Events> {
  /** The content before the first event: a value, or a function that makes one, for content that `reduce` changes in place. */
  initial: Content | (() => Content)
  /** The content after one more event. Without it, the data of each `message` is appended to a string. */
  reduce: (content: Content, event: EventOf<Events>) => Content
}

export interface UseEventSourceReturn<Content, Events, Done extends string> {
  /** Everything received, reduced. */
  readonly content: Readonly<ShallowRef<Content>>
  /** The newest event, whole: name, data and id never come from two events. */
  readonly last: Readonly<ShallowRef<EventOf<Events & Record<Exclude<Done, keyof Events>, string>> | null>>
  readonly status: Readonly<Ref<EventSourceStatus>>
  /** Why it is not open. */
  readonly reason: Readonly<Ref<EventSourceReason | null>>
  /** The newest error; null again as soon as a connection opens, and by `start()`. */
  readonly error: Readonly<Ref<EventSourceError | null>>
  /** Where the stream would resume; empty when it would start anew. */
  readonly lastEventId: Readonly<Ref<string>>
  /** Attempts to reconnect since the connection was last stable. */
  readonly attempt: Readonly<Ref<number>>
  /** Milliseconds since the epoch of the next attempt; null when none is due, or the browser does not tell. */
  readonly retryAt: Readonly<Ref<number | null>>
  /** Connects, from where `stop` left off. Nothing happens while connecting or open; while waiting to reconnect, it tries now. */
  start: () => void
  /** Disconnects, and stays so until `start`. */
  stop: () => void
  /** Empties `content` and `last` and forgets the id. The connection stays as it is. */
  clear: () => void
  /**
   * Calls `handler` with every event of that name, at once, in order, exactly once. Any name will do, at any time.
   * Returns what removes the handler; the end of the component that called does so too.
   */
  on: <Name extends string>(
    event: Name,
    handler: (event: { readonly event: Name; readonly data: DataOf<Events, Name>; readonly id: string }) => void,
  ) => () => void
}

// ---------------------------------------------------------------------------------------------------------------------
// Transports

export interface TransportRequest {
  readonly url: string
  /** Where to resume; empty for a new stream. */
  readonly lastEventId: string
  /** For transports that cannot set the `Last-Event-ID` header. */
  readonly lastEventIdParam: string | false
  readonly withCredentials: boolean
}

/** What a transport reports. Reports of a connection that was closed are ignored. */
export interface TransportSink {
  /** The server has answered with a stream. */
  open: () => void
  message: (event: RawEvent) => void
  /** The connection was lost, and the transport makes the next one by itself. */
  retrying: () => void
  /** The server has said that there is no more. */
  end: (reason: 'no-content' | 'ended') => void
  /** The connection is over. */
  fail: (error: EventSourceError<ConnectionErrorKind>) => void
  /** The server's `retry:`, in milliseconds. */
  retry: (delay: number) => void
  /** A complete block that had an id but no data. */
  id: (id: string) => void
}

export interface TransportConnection {
  /** Report events of this name. Called again for names that come later, and with names that are known. */
  listen: (event: string) => void
  /** Ends the connection; nothing is reported afterwards. */
  close: () => void
}

/** Opens one connection. It throws an EventSourceError where none can be. */
export type Transport = (request: TransportRequest, sink: TransportSink) => TransportConnection

/** The browser's own EventSource. It sends no headers of yours, hides HTTP errors, and reconnects lost connections itself. */
export const nativeTransport: Transport = (request, sink) => {
  if (typeof EventSource === 'undefined')
    throw new EventSourceError('unsupported', 'There is no EventSource here: use another transport.')
  const source = openNative(request)
  let sawId = false

  // A server's event may be named `error` or `open`. It comes to the same listeners, but as a MessageEvent.
  source.onopen = (event) => {
    if (!(event instanceof MessageEvent)) sink.open()
  }
  source.onerror = (event) => {
    if (event instanceof MessageEvent) return
    if (source.readyState === source.CLOSED)
      sink.fail(
        new EventSourceError('refused', 'The browser gave up: the server sent no event stream. See its network log.'),
      )
    else sink.retrying()
  }
  const onEvent = (event: Event): void => {
    if (!(event instanceof MessageEvent)) return
    // A new EventSource knows nothing of the id that it resumes from: until the server sends one, that id is still valid.
    sawId ||= event.lastEventId !== ''
    sink.message({
      event: event.type,
      data: event.data as string,
      id: sawId ? event.lastEventId : request.lastEventId,
    })
  }
  return {
    // Adding a listener that is there already changes nothing.
    listen: (name) => source.addEventListener(name, onEvent),
    close: () => source.close(),
  }
}

function openNative({ url, lastEventId, lastEventIdParam, withCredentials }: TransportRequest): EventSource {
  let source: EventSource
  try {
    let target = url
    if (lastEventId && lastEventIdParam) {
      const resumed = new URL(url, document.baseURI)
      resumed.searchParams.set(lastEventIdParam, lastEventId)
      target = resumed.href
    }
    source = new EventSource(target, { withCredentials })
  } catch (cause) {
    throw new EventSourceError('invalid-url', `"${url}" is not a URL.`, { cause })
  }
  if (/^https?:/.test(source.url)) return source
  source.close()
  throw new EventSourceError('invalid-url', `"${url}" is not an http(s) URL.`)
}

// ---------------------------------------------------------------------------------------------------------------------
// The composable

interface State {
  readonly status: EventSourceStatus
  readonly reason: EventSourceReason | null
  readonly error: EventSourceError | null
  readonly attempt: number
  readonly retryAt: number | null
}

const IDLE: State = { status: 'idle', reason: null, error: null, attempt: 0, retryAt: null }

/** Browsers fire a timer with a longer delay at once. */
const MAX_DELAY = 2 ** 31 - 1

/** Frames stop while a page is hidden. After this many milliseconds a commit comes without one. */
const FRAME_TIMEOUT = 250

/** What the callers' types come down to: inside, any content and any data will do. */
interface UntypedOptions extends Omit<EventSourceOptions<DecoderMap, string, string>, 'doneOn'> {
  doneOn?: string | false | ((event: never) => boolean)
  initial?: unknown
  reduce?: ((content: never, event: never) => unknown) | undefined
}

type Handler = (event: { event: string; data: unknown; id: string }) => void

/**
 * A reactive event stream. It ends with the component, effect scope or store that it is called in.
 *
 * @param url Another value closes the old stream and opens the new one; null, undefined and '' close it until there is one.
 */
export function useEventSource<
  const Decode extends DecoderMap = NoDecoders,
  const Name extends string = never,
  const Done extends string = 'close',
>(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options?: EventSourceOptions<Decode, Name, Done> & { initial?: string; reduce?: undefined },
): UseEventSourceReturn<string, EventsOf<Decode, Name>, Done>
export function useEventSource<
  Content,
  const Decode extends DecoderMap = NoDecoders,
  const Name extends string = never,
  const Done extends string = 'close',
>(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: EventSourceOptions<Decode, Name, Done> & Reduction<Content, EventsOf<Decode, Name>>,
): UseEventSourceReturn<Content, EventsOf<Decode, Name>, Done>
export function useEventSource(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: UntypedOptions = {},
): UseEventSourceReturn<unknown, Record<string, unknown>, string> {
  const {
    immediate = false,
    decode = {},
    events = [],
    initial = '',
    reduce,
    limit = Infinity,
    doneOn = 'close',
    retry = {},
    flush = 'frame',
    withCredentials = false,
    lastEventIdParam = 'lastEventId',
    transport = nativeTransport,
  } = options
  const { base = 1_000, cap = 30_000, max = 5, stableAfter = 5_000, decide = mayPass } = retry || {}

  /** On a server, where pages are only rendered, nothing opens. */
  const inBrowser = typeof document !== 'undefined'
  const empty = (): unknown => (typeof initial === 'function' ? (initial as () => unknown)() : initial)
  // A Map, because a server's event may be named `constructor`.
  const decoders = new Map(Object.entries(decode))
  const tracked = new Set(['message', ...decoders.keys(), ...events])
  const listened = new Set(typeof doneOn === 'string' ? [...tracked, doneOn] : tracked)
  const handlers = new Map<string, Set<{ readonly handler: Handler }>>()

  // One ref for what changes together: nobody can see a new status beside an old reason.
  const state = shallowRef(IDLE)
  const content = shallowRef(empty())
  const last = shallowRef<{ event: string; data: unknown; id: string } | null>(null)
  const lastEventId = shallowRef('')

  function change(to: Partial<State>): void {
    state.value = { ...state.value, ...to }
  }

  // --- Events: from the connection to handlers at once, to the refs once a frame

  let received = content.value
  let newest: typeof last.value = null
  let id = ''
  let uncommitted = false
  let cancelFrame = (): void => undefined

  function receive(raw: RawEvent): void {
    id = raw.id
    scheduleCommit()
    const decoder = decoders.get(raw.event)
    let event: { event: string; data: unknown; id: string }
    try {
      event = decoder ? { ...raw, data: decoder(raw.data) } : raw
    } catch (cause) {
      report('decode', `The decoder of "${raw.event}" threw.`, cause, raw)
      if (raw.event === doneOn) finish()
      return
    }

    const isTracked = tracked.has(raw.event)
    const done =
      typeof doneOn === 'function' ? isTracked && guarded(() => doneOn(event as never), false) : raw.event === doneOn
    if (isTracked && !done) append(event, raw)
    if (isTracked || done) newest = event
    if (flush === 'sync') commit()
    // Before the handlers, so that one of them may start the next stream.
    if (done) finish()
    for (const { handler } of [...(handlers.get(raw.event) ?? [])]) guarded(() => handler(event), undefined)
  }

  function append(event: { event: string; data: unknown; id: string }, raw: RawEvent): void {
    if (reduce) received = guarded(() => reduce(received as never, event as never), received)
    else if (raw.event === 'message') received = (received as string) + raw.data
    // Cutting at twice the limit copies each character once, and not with each event.
    if (typeof received === 'string' && received.length > 2 * limit) received = newestOf(received, limit)
  }

  function scheduleCommit(): void {
    if (uncommitted) return
    uncommitted = true
    const frame = requestAnimationFrame(commit)
    const timer = setTimeout(commit, FRAME_TIMEOUT)
    cancelFrame = () => {
      cancelAnimationFrame(frame)
      clearTimeout(timer)
    }
  }

  function commit(): void {
    if (!uncommitted) return
    uncommitted = false
    cancelFrame()
    if (typeof received === 'string') received = newestOf(received, limit)
    if (typeof received === 'object' && received === content.value) triggerRef(content)
    content.value = received
    last.value = newest
    lastEventId.value = id
  }

  /** To be followed by a commit. */
  function forgetId(): void {
    id = ''
    uncommitted = true
  }

  function guarded<T>(callback: () => T, otherwise: T): T {
    try {
      return callback()
    } catch (cause) {
      report('handler', 'A handler, reduce or another callback threw.', cause)
      return otherwise
    }
  }

  function report(kind: 'decode' | 'handler', message: string, cause: unknown, event?: RawEvent): void {
    change({ error: new EventSourceError(kind, message, { cause, event }) })
  }

  // --- Connections: at most one, and what belongs to an earlier one changes nothing

  let connection: TransportConnection | null = null
  let generation = 0
  /** The page wants a stream: it called `start`, and not `stop` since. */
  let wanted = false
  let disposed = false
  /** Attempts of our own since the connection was last stable. */
  let attempts = 0
  let hint = base
  let retryTimer: ReturnType<typeof setTimeout> | undefined
  let stableTimer: ReturnType<typeof setTimeout> | undefined

  function target(): string | null {
    return toValue(url)?.toString() || null
  }

  /** Whatever was under way is over, and all that it brought is visible. */
  function disconnect(): void {
    generation++
    clearTimeout(retryTimer)
    clearTimeout(stableTimer)
    connection?.close()
    connection = null
    commit()
  }

  function connect(): void {
    disconnect()
    const mine = generation
    // In a microtask, so that any number of starts, stops and changes of the URL in one tick make one connection.
    queueMicrotask(() => {
      const to = mine === generation ? target() : null
      if (to === null) return
      try {
        const request = { url: to, lastEventId: id, lastEventIdParam, withCredentials }
        const opened = transport(request, sinkOf(mine))
        if (mine !== generation) {
          opened.close()
          return
        }
        connection = opened
        for (const name of listened) opened.listen(name)
      } catch (cause) {
        if (mine !== generation) return
        lost(
          cause instanceof EventSourceError
            ? (cause as EventSourceError<ConnectionErrorKind>)
            : new EventSourceError('unsupported', 'The transport could not start.', { cause }),
        )
      }
    })
  }

  function sinkOf(mine: number): TransportSink {
    const current =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        if (mine === generation) handle(...args)
      }
    return {
      open: current(opened),
      message: current(receive),
      retrying: current(retrying),
      end: current((reason) => {
        forgetId()
        close('closed', reason)
      }),
      fail: current(lost),
      retry: current((delay) => {
        hint = Math.min(delay, cap)
      }),
      id: current((value) => {
        id = value
        scheduleCommit()
      }),
    }
  }

  function opened(): void {
    clearTimeout(stableTimer)
    stableTimer = setTimeout(() => {
      attempts = 0
      change({ attempt: 0 })
    }, stableAfter)
    change({ status: 'open', reason: null, error: null, retryAt: null })
  }

  /** The transport reconnects by itself, and neither says when nor can be told; but it can be closed. */
  function retrying(): void {
    const error = new EventSourceError('network', 'The connection was lost.')
    const answer = decision(error)
    if (answer !== true) {
      lost(error, answer)
      return
    }
    clearTimeout(stableTimer)
    commit()
    change({ status: 'reconnecting', reason: 'network', error, attempt: state.value.attempt + 1, retryAt: null })
  }

  /** The connection is over: we try again, or it has failed. */
  function lost(error: EventSourceError<ConnectionErrorKind>, answer: boolean | number = decision(error)): void {
    disconnect()
    const reason = error.kind
    if (answer === false || attempts >= max) {
      change({ status: 'failed', reason, error, retryAt: null })
      return
    }
    // Full jitter: clients that lost the same server do not come back to it in one moment.
    const backoff = error.retryAfter ?? Math.random() * Math.min(cap, hint * 2 ** attempts)
    const delay = Math.min(answer === true ? backoff : answer, MAX_DELAY)
    attempts++
    retryTimer = setTimeout(retryNow, delay)
    change({ status: 'reconnecting', reason, error, attempt: state.value.attempt + 1, retryAt: Date.now() + delay })
  }

  function decision(error: EventSourceError<ConnectionErrorKind>): boolean | number {
    return retry !== false && guarded(() => decide(error, state.value.attempt + 1), false)
  }

  function retryNow(): void {
    change({ retryAt: null })
    connect()
  }

  function close(status: 'closed' | 'idle', reason: EventSourceReason | null): void {
    disconnect()
    change({ status, reason, attempt: 0, retryAt: null })
  }

  /** The done event came: to reconnect would be to start over. */
  function finish(): void {
    forgetId()
    close('closed', 'finished')
  }

  /** A new stream, with all attempts before it. */
  function begin(): void {
    attempts = 0
    hint = base
    connect()
    state.value = target() === null ? IDLE : { ...IDLE, status: 'connecting' }
  }

  function start(): void {
    if (disposed || !inBrowser) return
    wanted = true
    const { status } = state.value
    if (status === 'reconnecting') retryNow()
    else if (status !== 'connecting' && status !== 'open') begin()
  }

  function stop(): void {
    wanted = false
    const { status } = state.value
    if (status === 'connecting' || status === 'open' || status === 'reconnecting') close('closed', 'stopped')
    // Also one that is yet to begin.
    else disconnect()
  }

  function clear(): void {
    received = empty()
    newest = null
    forgetId()
    commit()
  }

  function on(event: string, handler: Handler): () => void {
    const entry = { handler }
    const entries = handlers.get(event) ?? new Set()
    handlers.set(event, entries.add(entry))
    listened.add(event)
    connection?.listen(event)
    const off = (): void => void entries.delete(entry)
    if (getCurrentScope()) onScopeDispose(off)
    return off
  }

  if (inBrowser) {
    // At once, because what the old stream still sends is no longer wanted.
    const changed = (): void => {
      forgetId()
      if (wanted) begin()
      else commit()
    }
    watch(target, changed, { flush: 'sync' })
  }
  if (getCurrentScope())
    onScopeDispose(() => {
      disposed = true
      stop()
      handlers.clear()
    })
  if (immediate) {
    // After the first render, which on a page rendered by a server has to find what the server rendered: `idle`.
    const mine = generation
    queueMicrotask(() => {
      if (mine === generation) start()
    })
  }

  return {
    content,
    last,
    status: toRef(() => state.value.status),
    reason: toRef(() => state.value.reason),
    error: toRef(() => state.value.error),
    attempt: toRef(() => state.value.attempt),
    retryAt: toRef(() => state.value.retryAt),
    lastEventId,
    start,
    stop,
    clear,
    on: on as UseEventSourceReturn<unknown, Record<string, unknown>, string>['on'],
  }
}

/** What may pass by itself: lost connections, refusals whose cause is hidden, and servers that are busy or broken. */
function mayPass({ kind, status = 0 }: EventSourceError<ConnectionErrorKind>): boolean {
  if (kind === 'http') return status >= 500 || [408, 425, 429].includes(status)
  return kind === 'network' || kind === 'refused'
}

/** The last `limit` characters, and no half of a surrogate pair. */
function newestOf(text: string, limit: number): string {
  const start = text.length - limit
  if (start <= 0) return text
  const low = text.charCodeAt(start)
  return text.slice(low >= 0xdc00 && low <= 0xdfff ? start + 1 : start)
}
