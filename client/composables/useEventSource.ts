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
  customRef,
  getCurrentScope,
  onScopeDispose,
  shallowRef,
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
 * - `timeout`: nothing came for `idleTimeout`
 * - `invalid-url`: the URL cannot be parsed or is not http(s)
 * - `unsupported`: there is no EventSource here, or the transport could not start
 */
export type ConnectionErrorKind =
  'network' | 'refused' | 'http' | 'content-type' | 'timeout' | 'invalid-url' | 'unsupported'

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
  /** The HTTP status and headers, where the transport can see them. */
  status?: number | undefined
  headers?: Headers | undefined
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
  readonly headers: Headers | undefined
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
    this.headers = details.headers
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
  [Event in (keyof Decode & string) | Name | 'message']: Decoded<Decode, Event>
}

/** Where names are only known as `string`, or a decoder may be missing, data may be text as well. */
type Decoded<Decode extends DecoderMap, Name extends string> = string extends Name | keyof Decode
  ? string | Returned<Decode[keyof Decode]>
  : Name extends keyof Decode
    ? (undefined extends Decode[Name] ? string : never) | Returned<Decode[Name]>
    : string

type Returned<D> = D extends Decoder<infer Data> ? NotAny<Data> : never

/** One event, its data decoded: a union discriminated by `event`. */
export type EventOf<Events> = {
  [Name in keyof Events]: { readonly event: Name; readonly data: Events[Name]; readonly id: string }
}[keyof Events]

/** The data of an event by its name: text if nothing is known of it, and unknown if the name itself is not known. */
type DataOf<Events, Name extends string> = string extends Name
  ? unknown
  : Name extends keyof Events
    ? Events[Name]
    : string | Events[Extract<keyof Events, Name>]

// ---------------------------------------------------------------------------------------------------------------------
// Options

export interface RetryOptions {
  /** Milliseconds: the longest first delay; it doubles with each attempt. A server's `retry:` takes its place. @default 1_000 */
  base?: number
  /** Milliseconds: no delay is longer but a `Retry-After` and what `decide` says. @default 30_000 */
  cap?: number
  /** Attempts before the status is `failed`. Those that the browser makes by itself do not count. @default 5 */
  max?: number
  /** Milliseconds that a connection has to last before attempts are counted from 0 again. @default 5_000 */
  stableAfter?: number
  /**
   * Whether to try again: true, false, or after how many milliseconds. `attempt` is what it would be, the browser's included. The
   * default tries again what may pass by itself: not 4xx, and no POST.
   */
  decide?: (error: EventSourceError<ConnectionErrorKind>, attempt: number) => boolean | number
}

export interface EventSourceOptions<Decode extends DecoderMap, Name extends string, Done extends string> {
  /** Start without being asked. @default false */
  immediate?: boolean
  /** Decoders by event name; they type the events. Without one, data is the text as it came. */
  decode?: Decode & DecoderMap
  /** Further events that `reduce` and `last` should see, besides `message` and those of `decode`. */
  events?: readonly Name[]
  /** Characters of string content to keep, the newest. @default all */
  limit?: number
  /** The event that ends the stream for good: its name, a predicate, or false if there is none. @default 'close' */
  doneOn?: `${Done}` | false | ((event: EventOf<EventsOf<Decode, Name>>) => boolean)
  /** False never reconnects. */
  retry?: false | RetryOptions
  /**
   * Milliseconds of silence after which a connection counts as dead; 0 is never. Longer than the server's heartbeat, which for
   * native EventSource has to be an event named `ping`, because it hides comments. @default 0
   */
  idleTimeout?: number
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

export interface UseEventSourceReturn<Content, Events, WithDone> {
  /** Everything received, reduced. */
  readonly content: Readonly<ShallowRef<Content>>
  /** The newest event, whole: name, data and id never come from two events. */
  readonly last: Readonly<ShallowRef<EventOf<WithDone> | null>>
  readonly status: Readonly<Ref<EventSourceStatus>>
  /** Why it is not open. */
  readonly reason: Readonly<Ref<EventSourceReason | null>>
  /** The newest error, the only place that tells of what a handler threw; null again when a connection opens or a stream begins. */
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
  /**
   * Makes `content` what it was at first, empties `last`, and forgets the id. The connection stays as it is; should it be lost,
   * the browser's EventSource, which remembers the id, still resumes after it.
   */
  clear: () => void
  /**
   * Calls `handler` with every event of that name, at once, in order, exactly once. Any name will do, at any time.
   * Returns what removes the handler; the end of the component that called does so too.
   */
  on: <Name extends string>(
    event: Name,
    handler: (event: { readonly event: Name; readonly data: DataOf<Events, Name>; readonly id: string }) => unknown,
  ) => () => void
}

// ---------------------------------------------------------------------------------------------------------------------
// Transports

export interface TransportRequest {
  /** Absolute, http or https. */
  readonly url: string
  /** Where to resume; empty for a new stream. */
  readonly lastEventId: string
  /** For transports that cannot set the `Last-Event-ID` header. */
  readonly lastEventIdParam: string | false
  readonly withCredentials: boolean
  /** An earlier connection of this stream has been open: events may have been received, with or without ids. */
  readonly wasOpen: boolean
}

/** Why a connection is over. It becomes the `error` of the composable. */
export interface ConnectionFailure extends Omit<EventSourceErrorDetails, 'event'> {
  kind: ConnectionErrorKind
  message: string
  /** The request must not be repeated unless `retry.decide` says so: it may have changed something. */
  once?: boolean
}

/** What a transport reports. What it reports after `close` is ignored. */
export interface TransportSink {
  /** The server has answered with a stream. */
  open: () => void
  message: (event: RawEvent) => void
  /** The connection was lost, and the transport makes the next one by itself. */
  retrying: () => void
  /** The server has said that there is no more. */
  end: (reason: 'no-content' | 'ended') => void
  /** The connection is over. */
  fail: (failure: ConnectionFailure) => void
  /** Something came, be it a comment: the connection is alive. Messages need not be reported twice. */
  activity: () => void
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

export interface Transport {
  /** Opens one connection. It may report at once, and throws only where it cannot even begin. */
  (request: TransportRequest, sink: TransportSink): TransportConnection
  /** It reports events of every name, so `listen` does nothing. @default false */
  readonly receivesAllEvents?: boolean
}

/** The browser's own EventSource. It sends no headers of yours, hides HTTP errors, and reconnects lost connections itself. */
export const nativeTransport: Transport = (request, sink) => {
  if (typeof EventSource === 'undefined') throw new TypeError('There is no EventSource here: use another transport.')
  const { url, lastEventId, lastEventIdParam, withCredentials } = request
  const address = new URL(url)
  if (lastEventId && lastEventIdParam) address.searchParams.set(lastEventIdParam, lastEventId)
  const source = new EventSource(address, { withCredentials })
  let sawId = false

  // A server's event may be named `error` or `open`. It comes to the same listeners, but as a MessageEvent.
  source.onopen = (event) => {
    if (!(event instanceof MessageEvent)) sink.open()
  }
  source.onerror = (event) => {
    if (event instanceof MessageEvent) return
    if (source.readyState === source.CLOSED)
      sink.fail({ kind: 'refused', message: 'The browser was sent no event stream, and does not tell what else.' })
    else sink.retrying()
  }
  const onEvent = (event: Event): void => {
    if (!(event instanceof MessageEvent)) return
    // A new EventSource knows nothing of the id that it resumes from: until the server sends one, that id is still valid.
    sawId ||= event.lastEventId !== ''
    sink.message({
      event: event.type,
      data: event.data as string,
      id: sawId ? event.lastEventId : lastEventId,
    })
  }
  return {
    // Adding a listener that is there already changes nothing.
    listen: (name) => source.addEventListener(name, onEvent),
    close: () => source.close(),
  }
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

/** Frames stop while a page is hidden. After this many milliseconds a commit comes without one. */
const FRAME_TIMEOUT = 250

/** Milliseconds between two looks at the clock. */
const TICK = 1_000

/** Milliseconds: no server's `retry:` makes us try faster. */
const LEAST_DELAY = 10

/** What the callers' types come down to: inside, any content and any data will do. */
interface UntypedOptions extends Omit<EventSourceOptions<DecoderMap, string, string>, 'doneOn'> {
  doneOn?: string | false | ((event: never) => boolean)
  initial?: unknown
  reduce?: ((content: never, event: never) => unknown) | undefined
}

interface UntypedEvent {
  readonly event: string
  readonly data: unknown
  readonly id: string
}

type Handler = (event: UntypedEvent) => unknown

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
): UseEventSourceReturn<string, EventsOf<Decode, Name>, EventsOf<Decode, Name | Done>>
export function useEventSource<
  Content,
  const Decode extends DecoderMap = NoDecoders,
  const Name extends string = never,
  const Done extends string = 'close',
>(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: EventSourceOptions<Decode, Name, Done> & Reduction<Content, EventsOf<Decode, Name>>,
): UseEventSourceReturn<Content, EventsOf<Decode, Name>, EventsOf<Decode, Name | Done>>
export function useEventSource(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: UntypedOptions = {},
): UseEventSourceReturn<unknown, Record<string, unknown>, Record<string, unknown>> {
  const {
    immediate = false,
    decode = {},
    events = [],
    initial = '',
    reduce,
    limit = Infinity,
    doneOn = 'close',
    retry = {},
    idleTimeout = 0,
    flush = 'frame',
    withCredentials = false,
    lastEventIdParam = 'lastEventId',
    transport = nativeTransport,
  } = options
  const { base = 1_000, cap = 30_000, max = 5, stableAfter = 5_000, decide } = retry || {}

  /** On a server, where pages are only rendered, nothing opens. */
  const inBrowser = typeof document !== 'undefined'
  const initialContent = (): unknown => (typeof initial === 'function' ? (initial as () => unknown)() : initial)
  // A Map, because a server's event may be named `constructor`.
  const decoders = new Map(Object.entries(decode))
  const tracked = new Set(['message', ...decoders.keys(), ...events])
  const names = new Set(tracked)
  if (typeof doneOn === 'string') names.add(doneOn)
  if (idleTimeout > 0) names.add('ping')
  // An entry of its own for each registration: the same function may be registered twice.
  const handlers = new Map<string, Set<{ readonly handler: Handler }>>()

  // --- What the page sees. User code may run whenever a ref changes or a callback is called, and may call start, stop and clear,
  // --- or change the URL: whoever goes on afterwards asks first whether the generation is still its own.

  const content = shallowRef(initialContent())
  const last = shallowRef<UntypedEvent | null>(null)
  const lastEventId = shallowRef('')
  // One ref for what changes together: nobody sees a new status beside an old reason.
  const state = shallowRef(IDLE)

  /** The newest state. Read instead of the ref: an effect that calls `start` must not depend on what that changes. */
  let now = IDLE
  let committing = false

  function change(to: Partial<State>): void {
    now = { ...now, ...to }
    showState()
  }

  /** Not before a commit is whole: a watcher of the content may call `stop`, and what came before has to be seen before `closed`. */
  function showState(): void {
    if (!committing) state.value = now
  }

  /** A ref of one part. It ignores writes: Pinia writes to every ref of a store when it takes over what a server rendered. */
  function part<Key extends keyof State>(key: Key): Readonly<Ref<State[Key]>> {
    return customRef(() => ({ get: () => state.value[key], set: () => undefined }))
  }

  // --- Events: from the connection to handlers at once, to the refs once a frame

  let received = content.value
  let shown = received
  let changedInPlace = false
  let newest: UntypedEvent | null = null
  let id = ''
  let cancelCommit: (() => void) | null = null

  function receive(raw: RawEvent): void {
    const mine = generation
    id = raw.id
    const decoder = decoders.get(raw.event)
    let event: UntypedEvent
    try {
      event = decoder ? { ...raw, data: decoder(raw.data) } : raw
    } catch (cause) {
      report('decode', `The decoder of "${raw.event}" threw.`, cause, raw)
      commitSoon(mine)
      if (raw.event === doneOn && mine === generation) finish()
      return
    }

    const isTracked = tracked.has(raw.event)
    const done =
      typeof doneOn === 'function' ? isTracked && guarded(() => doneOn(event as never), false) : raw.event === doneOn
    if (isTracked && !done) append(event, raw)
    if (isTracked || done) newest = event
    commitSoon(mine)
    // Before the handlers, so that one of them may start the next stream.
    if (done && mine === generation) finish()
    const entries = handlers.get(raw.event)
    for (const entry of [...(entries ?? [])]) if (entries?.has(entry)) guarded(() => entry.handler(event), undefined)
  }

  function append(event: UntypedEvent, raw: RawEvent): void {
    const before = received
    if (reduce) received = guarded(() => reduce(before as never, event as never), before)
    else if (raw.event === 'message') received = (before as string) + raw.data
    if (received === before && typeof received === 'object') changedInPlace = true
    // Cutting at twice the limit copies each character once, and not with each event.
    if (typeof received === 'string' && received.length > 2 * limit) received = newestOf(received, limit)
  }

  /** With the next frame; at once if so wished, or if a callback has ended the connection that this came from. */
  function commitSoon(mine: number): void {
    if (flush === 'sync' || mine !== generation) commit()
    else if (!cancelCommit) {
      const frame = requestAnimationFrame(commit)
      const timer = setTimeout(commit, FRAME_TIMEOUT)
      cancelCommit = () => {
        cancelAnimationFrame(frame)
        clearTimeout(timer)
      }
    }
  }

  /** Makes the refs what has been received. A ref that is given what it has changes nothing. */
  function commit(): void {
    cancelCommit?.()
    cancelCommit = null
    const outer = committing
    committing = true
    try {
      if (typeof received === 'string') received = newestOf(received, limit)
      if (changedInPlace && received === shown) triggerRef(content)
      changedInPlace = false
      content.value = shown = received
      last.value = newest
      lastEventId.value = id
    } finally {
      committing = outer
      showState()
    }
  }

  /** Runs a callback of the page's. What it throws, or rejects with, goes to `error`, and never ends the stream. */
  function guarded<T>(callback: () => T, otherwise: T): T {
    const failed = (cause: unknown): void => report('handler', 'A handler, reduce or another callback threw.', cause)
    try {
      const result = callback()
      if (result instanceof Promise) result.catch(failed)
      return result
    } catch (cause) {
      failed(cause)
      return otherwise
    }
  }

  function report(kind: 'decode' | 'handler', message: string, cause: unknown, event?: RawEvent): void {
    change({ error: new EventSourceError(kind, message, { cause, event }) })
  }

  // --- Connections: at most one, and what belongs to an earlier one changes nothing

  let connection: TransportConnection | null = null
  /** Counts what begins and what ends: whoever has an older number has been overtaken. */
  let generation = 0
  /** The page wants a stream: it called `start`, and not `stop` since. */
  let wanted = false
  let disposed = false
  /** Attempts of our own since the connection was last stable; `attempt` also counts those of the browser. */
  let ownAttempts = 0
  let firstDelay = base
  let wasOpen = false
  /** The transport said that it reconnects by itself, and has not connected yet. */
  let leftToTransport = false
  let stableTimer: ReturnType<typeof setTimeout> | undefined
  let tick: ReturnType<typeof setTimeout> | undefined
  /** What is to happen at a time of the clock: the next attempt, or the verdict on a silent connection. */
  let deadline: { at: number; since: number; act: () => void } | null = null
  /** What the URL was when it was last looked at, without being tracked by whoever calls `start`. */
  let known: string | Error | null = null

  /** The URL, null if there is none, or what its getter threw. */
  function currentUrl(): string | Error | null {
    try {
      return toValue(url)?.toString() || null
    } catch (cause) {
      return cause instanceof Error ? cause : new Error(String(cause))
    }
  }

  /** Whatever was under way is over, and all that it brought is visible. False if user code, seeing that, has decided anew. */
  function disconnect(): boolean {
    const mine = ++generation
    const ended = connection
    connection = null
    rest()
    if (ended) guarded(() => ended.close(), undefined)
    commit()
    return mine === generation
  }

  function rest(): void {
    clearTimeout(stableTimer)
    clearTimeout(tick)
    deadline = null
    leftToTransport = false
  }

  function connect(as: State): void {
    if (!disconnect()) return
    const mine = generation
    // In a microtask, so that any number of starts, stops and changes of the URL in one tick make one connection.
    queueMicrotask(() => {
      if (mine === generation) open()
    })
    change(as)
  }

  function open(): void {
    const mine = generation
    const address = currentUrl()
    if (address === null) {
      change(IDLE)
      return
    }
    if (now.status === 'idle') change({ status: 'connecting' })
    if (mine !== generation) return
    const absolute = absoluteUrl(address)
    if (absolute instanceof Error) {
      lost({ kind: 'invalid-url', message: 'The URL is not an http(s) URL, or its getter threw.', cause: absolute })
      return
    }
    activity()
    try {
      const request = { url: absolute, lastEventId: id, lastEventIdParam, withCredentials, wasOpen }
      const made = transport(request, sinkOf(mine))
      if (mine !== generation) {
        made.close()
        return
      }
      connection = made
      for (const name of names) made.listen(name)
    } catch (cause) {
      if (mine === generation) lost({ kind: 'unsupported', message: 'The transport could not start.', cause })
    }
  }

  function sinkOf(mine: number): TransportSink {
    const ifCurrent =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        if (mine === generation) handle(...args)
      }
    return {
      open: ifCurrent(opened),
      message: ifCurrent((event) => {
        activity()
        receive(event)
      }),
      retrying: ifCurrent(() => lost({ kind: 'network', message: 'The connection was lost.' }, true)),
      end: ifCurrent((reason) => {
        id = ''
        close(reason, null)
      }),
      fail: ifCurrent((failure) => lost(failure)),
      activity: ifCurrent(activity),
      retry: ifCurrent((delay) => {
        firstDelay = Math.max(delay, LEAST_DELAY)
      }),
      id: ifCurrent((value) => {
        id = value
        commitSoon(mine)
      }),
    }
  }

  function opened(): void {
    rest()
    activity()
    if (now.attempt > 0)
      stableTimer = setTimeout(() => {
        ownAttempts = 0
        change({ attempt: 0 })
      }, stableAfter)
    wasOpen = true
    change({ status: 'open', reason: null, error: null })
  }

  /** The connection is over, unless the transport makes the next one by itself: we leave it to that, try again, or have failed. */
  function lost(failure: ConnectionFailure, byTransport = false): void {
    const mine = generation
    const { kind, message, once = false, ...details } = failure
    const error = new EventSourceError(kind, message, details)
    const attempt = now.attempt + 1
    const mayRetry = decide ? (): boolean | number => decide(error, attempt) : !once && mayPass(error)
    const answer = retry !== false && (typeof mayRetry === 'function' ? guarded(mayRetry, false) : mayRetry)
    if (mine !== generation) return

    if (byTransport && answer === true) {
      rest()
      leftToTransport = true
      commit()
      if (mine === generation) change({ status: 'reconnecting', reason: kind, error, attempt })
      return
    }
    if (!disconnect()) return
    if (answer === false || ownAttempts >= max) {
      change({ status: 'failed', reason: kind, error })
      return
    }
    // Full jitter: clients that lost the same server do not come back to it in one moment.
    const backoff = error.retryAfter ?? Math.random() * Math.min(cap, firstDelay * 2 ** Math.min(ownAttempts, 30))
    // A browser that says it is offline may be wrong: that only lengthens the wait, and the event `online` ends it.
    const delay = answer === true ? Math.max(backoff, navigator.onLine ? 0 : cap) : answer
    const retryAt = Date.now() + (Math.max(0, delay) || 0)
    ownAttempts++
    actAt(retryAt, retryNow)
    change({ status: 'reconnecting', reason: kind, error, attempt, retryAt })
  }

  function retryNow(): void {
    connect({ ...now, retryAt: null })
  }

  function close(reason: EventSourceReason, error: EventSourceError | null = now.error): void {
    if (disconnect()) change({ status: 'closed', reason, error, attempt: 0, retryAt: null })
  }

  /** The done event came: to reconnect would be to start over. */
  function finish(): void {
    id = ''
    close('finished')
  }

  // --- Time: timers stand still while a machine sleeps, and the clock does not. So it is the clock that is asked.

  function actAt(at: number, act: () => void): void {
    deadline = { at, since: Date.now(), act }
    look()
  }

  function look(): void {
    clearTimeout(tick)
    if (!deadline) return
    const time = Date.now()
    // A clock that was set back would have us wait until it has caught up.
    if (time < deadline.at && time >= deadline.since) tick = setTimeout(look, Math.min(deadline.at - time, TICK))
    else {
      const { act } = deadline
      deadline = null
      act()
    }
  }

  /** Something was heard of the connection: the verdict on its silence is put off. */
  function activity(): void {
    if (idleTimeout <= 0) return
    const at = Date.now() + idleTimeout
    if (deadline) deadline.at = at
    else actAt(at, () => lost({ kind: 'timeout', message: `Nothing came for ${idleTimeout} ms.` }))
  }

  /** The page is looked at again, came back from the history or from sleep, or the network is back. */
  function wake({ type }: Event): void {
    if (type === 'online' && isWaiting()) retryNow()
    else look()
  }

  function isWaiting(): boolean {
    return now.retryAt !== null || leftToTransport
  }

  // --- What the page does

  /** A new stream, with all attempts before it. */
  function begin(): void {
    ownAttempts = 0
    firstDelay = base
    wasOpen = false
    connect(known === null ? IDLE : { ...IDLE, status: 'connecting' })
  }

  function start(): void {
    if (disposed || !inBrowser) return
    wanted = true
    if (isWaiting()) retryNow()
    else if (!isUnderWay()) begin()
  }

  function stop(): void {
    wanted = false
    if (isUnderWay()) close('stopped')
    // Also what is yet to begin.
    else disconnect()
  }

  function isUnderWay(): boolean {
    return ['connecting', 'open', 'reconnecting'].includes(now.status)
  }

  function clear(): void {
    received = initialContent()
    newest = null
    id = ''
    commit()
  }

  function on(event: string, handler: Handler): () => void {
    const entry = { handler }
    const entries = handlers.get(event) ?? new Set()
    handlers.set(event, entries.add(entry))
    names.add(event)
    connection?.listen(event)
    const off = (): void => void entries.delete(entry)
    if (getCurrentScope()) onScopeDispose(off)
    return off
  }

  function urlChanged(): void {
    id = ''
    if (wanted) begin()
    else commit()
  }

  if (inBrowser) {
    // At once, because what the old stream still sends is no longer wanted.
    watch(() => (known = currentUrl()), urlChanged, { flush: 'sync' })
    for (const type of WAKING) addEventListener(type, wake)
  }
  if (getCurrentScope())
    onScopeDispose(() => {
      disposed = true
      stop()
      for (const entries of handlers.values()) entries.clear()
      if (inBrowser) for (const type of WAKING) removeEventListener(type, wake)
    })
  if (immediate) {
    // After the first render, which on a page that a server rendered has to find what the server rendered: `idle`.
    const mine = generation
    queueMicrotask(() => {
      if (mine === generation) start()
    })
  }

  return {
    content,
    last,
    status: part('status'),
    reason: part('reason'),
    error: part('error'),
    attempt: part('attempt'),
    retryAt: part('retryAt'),
    lastEventId,
    start,
    stop,
    clear,
    on: on as UseEventSourceReturn<unknown, Record<string, unknown>, Record<string, unknown>>['on'],
  }
}

/** What tells that time may have passed unnoticed, or that the network is back. All of them reach the window. */
const WAKING = ['online', 'pageshow', 'focus', 'visibilitychange', 'resume'] as const

/** The URL as a transport needs it, or why it cannot be one. */
function absoluteUrl(address: string | Error): string | Error {
  if (address instanceof Error) return address
  try {
    const { href, protocol } = new URL(address, document.baseURI)
    return /^https?:$/.test(protocol) ? href : new Error(`"${address}" is not an http(s) URL.`)
  } catch (cause) {
    return cause as Error
  }
}

/** What may pass by itself: lost connections, refusals whose cause is hidden, and servers that are busy or broken. */
function mayPass({ kind, status = 0 }: EventSourceError): boolean {
  if (kind === 'http') return status >= 500 || [408, 425, 429].includes(status)
  return kind === 'network' || kind === 'refused' || kind === 'timeout'
}

/** The last `limit` characters, and no half of a surrogate pair. */
function newestOf(text: string, limit: number): string {
  const start = text.length - limit
  if (start <= 0) return text
  const low = text.charCodeAt(start)
  return text.slice(low >= 0xdc00 && low <= 0xdfff ? start + 1 : start)
}
