/**
 * useEventSource 2.0.0: Server-Sent Events for Vue 3.3 and later.
 *
 * One file to copy; it imports `vue` and nothing else. From the project vue-event-stream, client/composables/useEventSource.ts;
 * CHANGELOG.md there says what changed between versions. MIT licence: keep this header.
 *
 *     const { content, status, start, stop } = useEventSource('/sse')
 *
 *     <button @click="start">Start</button>
 *     <button @click="stop">Stop</button>
 *     <output>{{ status }}</output> <pre>{{ content }}</pre>
 *
 * From top to bottom: what the page sees, the types of events, options, transports, and the composable. A transport is one
 * connection and reports what happens on it. The composable makes every decision: events reach handlers at once and the refs
 * once a frame; a lost connection is retried until the server is back; the done event ends the stream for good.
 *
 *     idle ── start ──> connecting ────> open ──── done event, 204, stop ────> closed
 *                           │  ▲          │
 *                    error  ▼  │ retry    │ connection lost
 *                        reconnecting <───┘ ── permanent error ───────────────> failed
 *
 * Sections are those of the HTML standard: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import {
  customRef,
  effectScope,
  getCurrentInstance,
  getCurrentScope,
  onMounted,
  onScopeDispose,
  toValue,
  watch,
  type EffectScope,
  type MaybeRefOrGetter,
  type Ref,
  type ShallowRef,
} from 'vue'

// ---------------------------------------------------------------------------------------------------------------------
// What the page sees

/**
 * | status         | meaning                                                                        |
 * |----------------|--------------------------------------------------------------------------------|
 * | `idle`         | not started, or there is no URL                                                |
 * | `connecting`   | started; the server has not answered yet                                       |
 * | `open`         | the server has answered, and events can arrive                                 |
 * | `reconnecting` | the connection was lost or refused; the next attempt is scheduled or under way |
 * | `closed`       | ended as intended: by `stop()` or by the server                                |
 * | `failed`       | ended, and will not be retried: `error` says why                               |
 */
export type EventSourceStatus = 'idle' | 'connecting' | 'open' | 'reconnecting' | 'closed' | 'failed'

/**
 * - `network`: the connection was lost or could not be made
 * - `refused`: native EventSource gave up, and the reason is unknown
 * - `http`: the server answered with a status other than 200; see `error.status`
 * - `content-type`: the server answered with something other than `text/event-stream`
 * - `timeout`: nothing arrived for `idleTimeout`
 * - `request`: the transport's `headers` or `body` function failed; nothing was sent
 * - `invalid-url`: the URL cannot be parsed, is not http(s), or its getter threw
 * - `unsupported`: there is no EventSource here, or the transport could not start
 */
export type ConnectionErrorKind =
  'network' | 'refused' | 'http' | 'content-type' | 'timeout' | 'request' | 'invalid-url' | 'unsupported'

/** A connection's errors, and: `decode`, a decoder threw; `handler`, a handler, `reduce` or another callback threw. */
export type EventSourceErrorKind = ConnectionErrorKind | 'decode' | 'handler'

/**
 * Why the status is what it is; null while idle, connecting and open.
 *
 * - `stopped`: `stop()` was called, or the component was unmounted
 * - `finished`: the done event arrived
 * - `no-content`: the server answered 204, which tells a client to stop reconnecting (section 9.2.3)
 * - `ended`: the server ended the response, and the transport treats that as the end of the stream
 */
export type EventSourceReason = 'stopped' | 'finished' | 'no-content' | 'ended' | ConnectionErrorKind

/** An event as received. `id` is the last event id at that point; it persists until the server sends another (section 9.2.6). */
export interface RawEvent {
  readonly event: string
  readonly data: string
  readonly id: string
}

interface ErrorDetails {
  status?: number | undefined
  headers?: Headers | undefined
  body?: string | undefined
  retryAfter?: number | undefined
  event?: RawEvent | undefined
  cause?: unknown
}

/** Anything that went wrong. `kind` tells errors apart; details that do not apply to a kind are undefined. */
export class EventSourceError<Kind extends EventSourceErrorKind = EventSourceErrorKind> extends Error {
  declare readonly kind: Kind
  /** The HTTP status, where the transport could see it. */
  declare readonly status: Kind extends 'http' | 'content-type' ? number : undefined
  declare readonly headers: Headers | undefined
  /** The first characters of the response body. */
  declare readonly body: string | undefined
  /** Milliseconds, from the `Retry-After` header. */
  declare readonly retryAfter: number | undefined
  /** The event that could not be decoded. */
  declare readonly event: Kind extends 'decode' ? RawEvent : undefined

  constructor(kind: Kind, message: string, details: ErrorDetails = {}) {
    super(message)
    // Sets `cause` too, which `super` accepts only since ES2022.
    Object.assign(this, details, { name: 'EventSourceError', kind })
  }
}

/** One of the errors; comparing `kind` narrows the other fields. */
export type AnyEventSourceError = { [Kind in EventSourceErrorKind]: EventSourceError<Kind> }[EventSourceErrorKind]

/** An error of a connection, as `retry.decide` gets it. */
export type ConnectionError = { [Kind in ConnectionErrorKind]: EventSourceError<Kind> }[ConnectionErrorKind]

// ---------------------------------------------------------------------------------------------------------------------
// Events and their types

/** Turns an event's text into typed data. If it throws, the event goes to `error` and reaches no handler. */
export type Decoder<Data = unknown> = (raw: string) => Data

/** One decoder for each event whose data is not plain text, by event name. */
export type DecoderMap = Record<string, Decoder | undefined>

type NoDecoders = Record<never, undefined>

/**
 * The decoders that an event map needs: one for every event that is not a string, so that no text is typed as an object.
 *
 *     interface PriceEvents { price: { symbol: string; value: number }; note: string }
 *     const decode: Decoders<PriceEvents> = { price: (raw) => parsePrice(raw) }
 */
export type Decoders<Events extends object> = {
  [Name in keyof Events as string extends Events[Name] ? never : Name]: Decoder<Events[Name]>
} & { [Name in keyof Events as string extends Events[Name] ? Name : never]?: Decoder<Events[Name]> }

/** Names and data of the events that `reduce` and `last` receive. `message` is always among them. */
export type EventsOf<Decode extends DecoderMap, Name extends string> = {
  [Event in (keyof Decode & string) | Name | 'message']: Decoded<Decode, Event>
}

/** If names are only known as `string`, or a decoder may be missing, data may also be text. */
type Decoded<Decode extends DecoderMap, Name extends string> = string extends Name | keyof Decode
  ? string | Returned<Decode[keyof Decode]>
  : Name extends keyof Decode
    ? (undefined extends Decode[Name] ? string : never) | Returned<Decode[Name]>
    : string

type Returned<D> = D extends Decoder<infer Data> ? Data : never

/** One event with its data decoded: a union discriminated by `event`. */
export type EventOf<Events> = {
  [Name in keyof Events]: { readonly event: Name; readonly data: Events[Name]; readonly id: string }
}[keyof Events]

/** `any`, the type of `JSON.parse`, becomes `unknown`: data must be checked before use. */
type Checked<Events> = { [Name in keyof Events]: 0 extends 1 & Events[Name] ? unknown : Events[Name] }

/** The data of an event by its name: text if the event is not declared, unknown if the name is not known. */
type DataOf<Events, Name extends string> = string extends Name
  ? unknown
  : Name extends keyof Events
    ? Events[Name]
    : string | Events[Extract<keyof Events, Name>]

// ---------------------------------------------------------------------------------------------------------------------
// Options

/**
 * When and how often to reconnect. A delay is half fixed and half random. A server's `retry:` or `Retry-After` is the minimum,
 * up to an hour.
 */
export interface RetryOptions {
  /** Milliseconds: the longest first delay; it doubles with each attempt. A server's `retry:` takes its place. @default 1_000 */
  initialDelay?: number | undefined
  /** Milliseconds: the longest delay, unless the server asks for more. While offline, every delay is at least this. @default 30_000 */
  maxDelay?: number | undefined
  /** Attempts before the status is `failed`. Those made while offline, or by the browser itself, do not count. @default Infinity */
  maxAttempts?: number | undefined
  /** Milliseconds a connection must last before attempts are counted from 0 again. @default 5_000 */
  stableAfter?: number | undefined
  /**
   * Whether to retry: true, false, or after how many milliseconds. `attempt` counts from 1 and includes the browser's. The
   * default retries transient errors: `network`, `refused`, `timeout`, `request`, and of `http` 5xx, 408, 425 and 429. Once a
   * request other than GET was sent, the default does not repeat it.
   */
  decide?: ((error: ConnectionError, attempt: number) => boolean | number) | undefined
}

export interface EventSourceOptions<
  Decode extends DecoderMap = NoDecoders,
  Name extends string = never,
  Done extends string = 'close',
> {
  /** Start automatically once the component is mounted. @default false */
  immediate?: boolean | undefined
  /** Decoders by event name; they type the events. Without one, data is the raw text. */
  decode?: (Decode & DecoderMap) | undefined
  /** Further events for `reduce` and `last`, besides `message` and those of `decode`. */
  events?: readonly Name[] | undefined
  /** How many characters of string content to keep: the newest. @default Infinity */
  limit?: number | undefined
  /**
   * What ends the stream for good: an event's name; a predicate, asked before decoding about `message` and the events of `decode`
   * and `events`; or false. @default 'close'
   */
  doneOn?: `${Done}` | false | ((event: RawEvent) => boolean) | undefined
  /** False never reconnects. */
  retry?: false | RetryOptions | undefined
  /** The id to resume after, as stored before a reload. It belongs to the first URL. @default '', a new stream */
  lastEventId?: string | undefined
  /** False empties the content when a new stream begins; a stream that resumes keeps it. @default true */
  keepContent?: boolean | undefined
  /**
   * Milliseconds without data after which a connection counts as dead; 0 is never. It must be longer than the server's
   * heartbeat. Native EventSource hides comments, so there the heartbeat must be an event named `ping`; an attempt that the
   * browser makes by itself may take `maxDelay` longer. @default 0
   */
  idleTimeout?: number | undefined
  /** When refs change: once an animation frame, or with each event. Handlers are always called at once. @default 'frame' */
  flush?: 'frame' | 'sync' | undefined
  /** Send cookies to another origin. @default false */
  withCredentials?: boolean | undefined
  /** The query parameter that carries the last event id where a header cannot be set; false for none. @default 'lastEventId' */
  lastEventIdParam?: string | false | undefined
  /** @default nativeTransport */
  transport?: Transport | undefined
}

export interface Reduction<Content, Events> {
  /** The content before the first event: a value, or a function that creates one if `reduce` changes the content in place. */
  initial: Content | (() => Content)
  /**
   * Returns the content after one more event. Without it, the data of each `message` is appended to a string. To pass the content
   * as a prop or through a `computed`, return a new object: Vue compares identities there.
   */
  reduce: (content: Content, event: EventOf<Events>) => Content
}

export interface UseEventSourceReturn<
  Content = string,
  Events = { message: string },
  WithDone = Events & { close: string },
> {
  /** Everything received, reduced. */
  readonly content: Readonly<ShallowRef<Content>>
  /** The newest event as one object: name, data and id always belong together. */
  readonly last: Readonly<ShallowRef<EventOf<Checked<WithDone>> | null>>
  readonly status: Readonly<Ref<EventSourceStatus>>
  /** Why the stream is not open. */
  readonly reason: Readonly<Ref<EventSourceReason | null>>
  /** The newest error; null again once a connection opens. */
  readonly error: Readonly<Ref<AnyEventSourceError | null>>
  /** The id after which the stream would resume; empty if it would start over. */
  readonly lastEventId: Readonly<Ref<string>>
  /** Attempts to reconnect since the connection was last stable. */
  readonly attempt: Readonly<Ref<number>>
  /** When the next attempt is due, in epoch milliseconds; null if none is, or if the browser decides. */
  readonly retryAt: Readonly<Ref<number | null>>
  /** Connects, after the last event received. Does nothing while connecting or open; while waiting to reconnect, retries now. */
  start: () => void
  /** Disconnects until `start`. */
  stop: () => void
  /**
   * Resets `content` and `last`, and forgets the id. The connection is left alone; if the browser reconnects it, it still sends
   * the id that it remembers.
   */
  clear: () => void
  /**
   * Calls `handler` for every event of that name: at once, in order, exactly once. Works for any name, at any time.
   * Returns an unsubscribe function, which is also called when the calling component or scope is disposed.
   */
  on: <Name extends string>(
    event: Name,
    handler: (event: {
      readonly event: Name
      readonly data: DataOf<Checked<Events>, Name>
      readonly id: string
    }) => unknown,
  ) => () => void
}

type Returns<Content, Decode extends DecoderMap, Name extends string, Done extends string> = UseEventSourceReturn<
  Content,
  EventsOf<Decode, Name>,
  EventsOf<Decode, Name | Done>
>

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

/** Why a connection ended. It becomes the `error` of the composable. */
export interface ConnectionFailure extends Omit<ErrorDetails, 'event'> {
  kind: ConnectionErrorKind
  message: string
}

/** What a transport reports. Reports after `close` are ignored. */
export interface TransportSink {
  /** The server has answered with a stream. */
  open: () => void
  message: (event: RawEvent) => void
  /** The connection was lost, and the transport reconnects by itself. */
  retrying: () => void
  /** The server has said that there is no more. */
  end: (reason: 'no-content' | 'ended') => void
  /** The connection is over. */
  fail: (failure: ConnectionFailure) => void
  /** Data arrived, even if only a comment: the connection is alive. `message` implies it. */
  activity: () => void
  /** The server's `retry:`, in milliseconds. */
  retry: (delay: number) => void
  /** A complete block with an id but no data. */
  id: (id: string) => void
}

export interface TransportConnection {
  /** Reports events of this name from now on. Called for every name, and again for names that come later. */
  listen: (event: string) => void
  /** Ends the connection; nothing is reported afterwards. */
  close: () => void
}

export interface Transport {
  /** Opens one connection. It may report at once, and throws only if it cannot even begin. */
  (request: TransportRequest, sink: TransportSink): TransportConnection
  /** It reports events of every name, so `listen` does nothing. @default false */
  readonly receivesAllEvents?: boolean
  /** Requests may change state: once sent, one is repeated only if `retry.decide` says so. @default false */
  readonly once?: boolean
}

const REFUSED = { kind: 'refused', message: 'The browser gave up without a reason.' } as const

/** Milliseconds that `nativeTransport` waits to learn why the browser gave up. */
const PROBE_TIMEOUT = 5_000

/**
 * The browser's own EventSource. It sends no custom headers and reconnects lost connections itself.
 *
 * When EventSource gives up, it hides the reason: 204, 404 and 503 look alike. The transport then asks once, by `fetch`, and drops
 * the response after its head. That response could swallow events, so the transport asks only if none can be lost: if the stream
 * was never open, or if the request can name the last id received.
 */
export const nativeTransport: Transport = (request, sink) => {
  if (typeof EventSource === 'undefined') throw new TypeError('No EventSource: use fetchTransport.')
  const { url, lastEventIdParam, withCredentials } = request
  let { lastEventId: id, wasOpen } = request
  const isSameOrigin = new URL(url).origin === location.origin
  const urlWithId = (): string => (id && lastEventIdParam ? withParameter(url, lastEventIdParam, id) : url)
  const source = new EventSource(urlWithId(), { withCredentials })
  const probe = new AbortController()
  let probeTimer: ReturnType<typeof setTimeout> | undefined
  let sawId = false
  let isOpen = false

  function close(): void {
    source.close()
    // WebKit revives an EventSource that was closed in `pagehide` when the page comes back from the history.
    source.onopen = source.onerror = () => source.close()
    probe.abort()
    clearTimeout(probeTimer)
  }

  async function failWithReason(): Promise<void> {
    probeTimer = setTimeout(close, PROBE_TIMEOUT)
    try {
      const response = await fetch(urlWithId(), {
        // For servers that read only the header. Headers carry bytes, one per character; cross-origin, this one needs a CORS preflight.
        headers: { Accept: 'text/event-stream', ...(id && isSameOrigin && { 'Last-Event-ID': bytesAsText(id) }) },
        credentials: withCredentials ? 'include' : 'same-origin',
        cache: 'no-store',
        signal: probe.signal,
      })
      if (response.status === 204) sink.end('no-content')
      else sink.fail(failureOf(response) ?? REFUSED)
    } catch (cause) {
      sink.fail({ ...REFUSED, cause })
    }
    close()
  }

  // A server's event may be named `error` or `open`. It reaches the same listeners, but carries data.
  source.onopen = (event) => {
    if (isMessage(event)) return
    wasOpen = isOpen = true
    sink.open()
  }
  source.onerror = (event) => {
    if (isMessage(event)) return
    const canAsk = !wasOpen || (id !== '' && (isSameOrigin || lastEventIdParam))
    if (source.readyState !== source.CLOSED) sink.retrying()
    // Asking takes time, and meanwhile the status must not be `open`.
    else if (canAsk && !isOpen) void failWithReason()
    else sink.fail(REFUSED)
    isOpen = false
  }
  const onEvent = (event: Event): void => {
    if (!isMessage(event)) return
    // A new EventSource does not know the id it resumes after, which stays valid until the server sends another.
    sawId ||= event.lastEventId !== ''
    if (sawId) id = event.lastEventId
    sink.message({ event: event.type, data: event.data as string, id })
  }
  // Adding the same listener twice has no effect.
  return { listen: (name) => source.addEventListener(name, onEvent), close }
}

/** Tells a server's event, which may have any name, from EventSource's own `open` and `error`. Polyfills have a class of their own. */
function isMessage(event: Event): event is MessageEvent {
  return 'data' in event
}

/** What is wrong with a response, or null if it is an event stream (section 9.2.3). */
function failureOf({ status, headers }: Response): ConnectionFailure | null {
  const type = headers.get('Content-Type') ?? ''
  if (status !== 200)
    return {
      kind: 'http',
      message: `The server answered ${status}.`,
      status,
      headers,
      retryAfter: retryAfterOf(headers),
    }
  if (/^text\/event-stream\s*(;|,|$)/i.test(type)) return null
  return { kind: 'content-type', message: `The server sent "${type}".`, status, headers }
}

/** `Retry-After` in milliseconds: a whole number of seconds, or a date. Anything else is ignored. */
function retryAfterOf(headers: Headers): number | undefined {
  const value = headers.get('Retry-After') ?? ''
  const delay = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now()
  return delay >= 0 ? delay : undefined
}

/** The URL with the parameter in its query, otherwise unchanged byte for byte: it may be signed. Its fragment is never sent. */
function withParameter(url: string, name: string, value: string): string {
  const [, path = '', query = ''] = /^([^?#]*)\??([^#]*)/.exec(url) ?? []
  const start = `${encodeURIComponent(name)}=`
  const others = query ? query.split('&').filter((pair) => !pair.startsWith(start)) : []
  return `${path}?${[...others, start + encodeURIComponent(value)].join('&')}`
}

/** UTF-8 as a string of one character per byte, as headers require. */
function bytesAsText(text: string): string {
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('')
}

// ---------------------------------------------------------------------------------------------------------------------
// The composable

/** What the refs show. It changes as a whole: no ref is ever ahead of another. */
interface State {
  content: unknown
  last: UntypedEvent | null
  lastEventId: string
  error: AnyEventSourceError | null
  reason: EventSourceReason | null
  attempt: number
  retryAt: number | null
  status: EventSourceStatus
}

/**
 * What the stream is doing: holding a connection, waiting to make the next one, or nothing. Everything that belongs to a stage, such
 * as timers and page listeners, ends with it. A callback checks whether its connection is still the current stage.
 */
type Stage = Connection | 'waiting' | 'ended'

interface Connection {
  /** Null until it is opened, in the microtask after `start`. */
  handle: TransportConnection | null
  /** It was lost, and the transport reconnects by itself. */
  isRetrying: boolean
}

/** Watchers run in this order, those of the status last. */
const KEYS = ['content', 'last', 'lastEventId', 'error', 'reason', 'attempt', 'retryAt', 'status'] as const

const IDLE = { status: 'idle', reason: null, error: null, attempt: 0 } as const

/** Milliseconds until a commit without an animation frame: a hidden page has none. */
const FRAME_TIMEOUT = 250

/** Milliseconds between clock checks, and how long a page that wakes up waits for data that arrived while it slept. */
const TICK = 1_000

/** Milliseconds: bounds of what a server may ask for. */
const MIN_SERVER_RETRY = 10
const MIN_RETRY_AFTER = 1_000
const MAX_SERVER_DELAY = 3_600_000

/** Milliseconds: timers with a longer delay fire at once. */
const MAX_TIMER = 2 ** 31 - 1

/** Signs that time may have passed unnoticed, or that the network is back. */
const PAGE_EVENTS = ['online', 'pageshow', 'visibilitychange', 'resume'] as const

/** The implementation is untyped; the overloads carry the types. */
interface UntypedOptions extends EventSourceOptions<DecoderMap, string, string> {
  initial?: unknown
  reduce?: ((content: never, event: never) => unknown) | undefined
}

interface UntypedEvent {
  readonly event: string
  readonly data: unknown
  readonly id: string
}

type UntypedReturn = UseEventSourceReturn<unknown, Record<string, unknown>, Record<string, unknown>>

interface Subscription {
  readonly event: string
  readonly handler: (event: UntypedEvent) => unknown
  /** The scope that called `on`. */
  readonly scope: EffectScope | undefined
}

/**
 * A reactive event stream. It ends with the component, effect scope or store in which it was created.
 *
 * @param url Another value ends the stream and begins a new one; null, undefined and '' end it until there is a URL again.
 */
export function useEventSource<
  const Decode extends DecoderMap = NoDecoders,
  const Name extends string = never,
  const Done extends string = 'close',
>(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options?: EventSourceOptions<Decode, Name, Done> & { initial?: string | undefined; reduce?: undefined },
): Returns<string, NoInfer<Decode>, NoInfer<Name>, NoInfer<Done>>
export function useEventSource<
  Content,
  const Decode extends DecoderMap = NoDecoders,
  const Name extends string = never,
  const Done extends string = 'close',
>(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: EventSourceOptions<Decode, Name, Done> & Reduction<Content, EventsOf<NoInfer<Decode>, NoInfer<Name>>>,
): Returns<Content, NoInfer<Decode>, NoInfer<Name>, NoInfer<Done>>
export function useEventSource(
  url: MaybeRefOrGetter<string | URL | null | undefined>,
  options: UntypedOptions = {},
): UntypedReturn {
  const {
    immediate = false,
    decode = {},
    events = [],
    initial = '',
    reduce,
    limit = Infinity,
    doneOn = 'close',
    retry = {},
    lastEventId = '',
    keepContent = true,
    idleTimeout = 0,
    flush = 'frame',
    withCredentials = false,
    lastEventIdParam = 'lastEventId',
    transport = nativeTransport,
  } = options
  const {
    initialDelay = 1_000,
    maxDelay = 30_000,
    maxAttempts = Infinity,
    stableAfter = 5_000,
    decide = mayPass,
  } = retry || {}

  // A Map, because a server's event may be named `constructor`.
  const decoders = new Map(Object.entries(decode))
  const tracked = new Set(['message', ...decoders.keys(), ...events])
  const subscriptions = new Set<Subscription>()
  const initialContent = (): unknown => (typeof initial === 'function' ? (initial as () => unknown)() : initial)

  // --- State. `state` is the truth, and the refs show a copy of it: published once a frame for events, at once for a new status.
  // --- Watchers and callbacks may call start, stop and clear at any point, so a change is complete before any of them runs.

  const state: State = { content: initialContent(), last: null, lastEventId, retryAt: null, ...IDLE }
  let published: State = { ...state }
  const triggers = {} as Record<keyof State, () => void>
  /** There is something to publish; while `isHeld` it has to wait. */
  let isDirty = false
  let isHeld = false
  /** `reduce` changed the content in place: the same object, with new content. */
  let isContentMutated = false
  let cancelCommit: (() => void) | undefined

  // The refs ignore writes, because Pinia writes to all refs of a store when it hydrates. The content is marked as shallow, so that
  // watchers also run when `reduce` changed it in place.
  const refs = KEYS.map((key) => {
    const ref = customRef((track, trigger) => {
      triggers[key] = trigger
      return {
        get() {
          track()
          return published[key]
        },
        set: () => undefined,
      }
    })
    return [key, Object.assign(ref, { __v_isShallow: key === 'content' })] as const
  })

  /** Updates the refs, and runs the watchers of those that changed. Changes made by a watcher are published afterwards. */
  function publish(): void {
    isDirty = true
    if (isHeld) return
    cancelCommit?.()
    cancelCommit = undefined
    isHeld = true
    while (isDirty) {
      isDirty = false
      if (typeof state.content === 'string') state.content = newestOf(state.content, limit)
      const before = published
      published = { ...state }
      const changed = KEYS.filter((key) => state[key] !== before[key] || (isContentMutated && key === 'content'))
      isContentMutated = false
      for (const key of changed)
        try {
          triggers[key]()
        } catch (cause) {
          // Vue's development build throws what a watcher throws.
          reportUncaught(cause)
        }
    }
    isHeld = false
  }

  function change(patch: Partial<State>): void {
    Object.assign(state, patch)
    publish()
  }

  /** Publishes with the next frame; at once with flush 'sync', or when the stage has been left. */
  function commitSoon(mine: Stage): void {
    if (flush === 'sync' || stage !== mine || stage === 'ended') publish()
    else cancelCommit ??= onNextFrame(publish)
  }

  /** Runs user code. What it throws is reported like any uncaught error, and never ends the stream. */
  function guarded<T>(name: string, callback: () => T, fallback: T): T {
    try {
      return callback()
    } catch (cause) {
      handleThrown(name, cause)
      return fallback
    }
  }

  function handleThrown(name: string, cause: unknown, event?: RawEvent): void {
    if (!event) reportUncaught(cause)
    const kind = event ? 'decode' : 'handler'
    state.error = new EventSourceError(kind, `${name} threw.`, { cause, event }) as AnyEventSourceError
    commitSoon(stage)
  }

  // --- Events: from the connection to the handlers at once, to the refs with the next commit

  /** An id that `clear` forgot. A transport keeps reporting it with events that have no id of their own. */
  let forgottenId: string | null = null

  function remember(id: string): void {
    if (id === forgottenId) return
    forgottenId = null
    state.lastEventId = id
  }

  function receive(mine: Stage, raw: RawEvent): void {
    remember(raw.id)
    // Whatever these callbacks change, for example with `stop`, becomes visible together with the event.
    const wasHeld = isHeld
    isHeld = true
    const isTracked = tracked.has(raw.event)
    const isDone =
      typeof doneOn === 'function' ? isTracked && guarded('doneOn', () => doneOn(raw), false) : raw.event === doneOn
    const event = decoded(raw, isDone && typeof doneOn === 'function')
    if (event && isTracked && !isDone) append(event)
    if (event && (isTracked || isDone)) state.last = event
    isHeld = wasHeld
    // Before the handlers, so that one of them may start the next stream.
    if (isDone && stage === mine) end('finished')
    else commitSoon(mine)
    if (event)
      for (const subscription of [...subscriptions].filter((one) => one.event === raw.event))
        if (subscriptions.has(subscription)) deliver(subscription, event)
  }

  /** The event with its data decoded; null if the decoder threw, which is fine for a done event that the predicate recognized. */
  function decoded(raw: RawEvent, mayThrow: boolean): UntypedEvent | null {
    const decoder = decoders.get(raw.event)
    if (!decoder) return raw
    try {
      return { ...raw, data: decoder(raw.data) }
    } catch (cause) {
      if (!mayThrow) handleThrown(`The decoder of "${raw.event}"`, cause, raw)
      return null
    }
  }

  function append(event: UntypedEvent): void {
    const before = state.content
    const after = guarded(
      'reduce',
      () => {
        if (reduce) return reduce(before as never, event as never)
        return event.event === 'message' ? `${before as string}${event.data as string}` : before
      },
      before,
    )
    if (after === before && typeof after === 'object') isContentMutated = true
    // Cut at twice the limit, so that each character is copied once instead of with every event.
    state.content = typeof after === 'string' && after.length > 2 * limit ? newestOf(after, limit) : after
  }

  function deliver({ handler }: Subscription, event: UntypedEvent): void {
    const name = 'A handler'
    const deliverNow = (): void => {
      const result = handler(event) as PromiseLike<unknown> | undefined
      if (typeof result?.then === 'function') result.then(undefined, (cause: unknown) => handleThrown(name, cause))
    }
    guarded(name, deliverNow, undefined)
  }

  // --- Stages: at most one connection, and callbacks of any stage but the current one are ignored

  let stage = 'ended' as Stage
  /** Our own attempts since the connection was last stable; `state.attempt` also counts the browser's. */
  let ownAttempts = 0
  /** The server's `retry:`. */
  let serverRetry: number | undefined
  /** A connection of this stream has been open. */
  let wasOpen = false
  /** Opens the connection of the current stage, or declares it stable. */
  let stageTimer: ReturnType<typeof setTimeout> | undefined
  /** Nothing arrived for too long, but the page may have slept. */
  let isOverdue = false
  const retryDeadline = createDeadline(retryNow)
  const idleDeadline = createDeadline(checkSilence)

  /** Leaves the current stage completely before any callback runs. */
  function enter(next: Stage, patch: Partial<State>): void {
    const left = stage
    stage = next
    clearTimeout(stageTimer)
    idleDeadline.clear()
    retryDeadline.clear()
    if (patch.retryAt) retryDeadline.set(patch.retryAt)
    // Adding a listener twice has no effect. In the capture phase even events that do not bubble reach the window.
    const toggle = next === 'ended' ? removeEventListener : addEventListener
    for (const type of PAGE_EVENTS) toggle(type, onPageEvent, true)
    Object.assign(state, { retryAt: null }, patch)
    if (typeof left === 'object') guarded('close', () => left.handle?.close(), undefined)
    publish()
  }

  function connect(patch: Partial<State>): Connection {
    const mine: Connection = { handle: null, isRetrying: false }
    forgottenId = null
    enter(mine, patch)
    return mine
  }

  function open(mine: Connection): void {
    if (stage !== mine) return
    // The URL changed in the task that started the stream.
    if (watchedUrl !== streamUrl) {
      begin((task) => task())
      return
    }
    const address = resolve(url)
    if (address === null) {
      enter('ended', IDLE)
      return
    }
    if (address instanceof Error) {
      handleFailure({ kind: 'invalid-url', message: `Bad URL: ${address.message}`, cause: address })
      return
    }
    if (state.status === 'idle') change({ status: 'connecting' })
    if (stage !== mine) return
    handleActivity()
    try {
      const request = { url: address, lastEventId: state.lastEventId, lastEventIdParam, withCredentials, wasOpen }
      const handle = transport(request, sinkOf(mine))
      if (stage !== mine) {
        handle.close()
        return
      }
      mine.handle = handle
      for (const name of tracked) handle.listen(name)
      for (const { event } of subscriptions) handle.listen(event)
      if (typeof doneOn === 'string') handle.listen(doneOn)
      if (idleTimeout > 0) handle.listen('ping')
    } catch (cause) {
      if (stage === mine) handleFailure({ kind: 'unsupported', message: 'The transport failed.', cause })
    }
  }

  function sinkOf(mine: Connection): TransportSink {
    const ifCurrent =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        if (stage === mine) handle(...args)
      }
    return {
      open: ifCurrent(() => handleOpen(mine)),
      message: ifCurrent((event) => {
        handleActivity()
        receive(mine, event)
      }),
      retrying: ifCurrent(() => handleFailure({ kind: 'network', message: 'Connection lost.' }, mine)),
      end: ifCurrent((reason) => end(reason, null)),
      fail: ifCurrent((failure) => handleFailure(failure)),
      activity: ifCurrent(() => handleActivity()),
      retry: ifCurrent((delay) => {
        serverRetry = Math.max(delay, MIN_SERVER_RETRY)
      }),
      id: ifCurrent((id) => {
        remember(id)
        commitSoon(mine)
      }),
    }
  }

  function handleOpen(mine: Connection): void {
    mine.isRetrying = false
    wasOpen = true
    handleActivity()
    clearTimeout(stageTimer)
    if (state.attempt > 0)
      stageTimer = setTimeout(
        () => {
          ownAttempts = 0
          change({ attempt: 0 })
        },
        Math.min(stableAfter, MAX_TIMER),
      )
    change({ status: 'open', reason: null, error: null })
  }

  /** A connection failed: leave it to a transport that reconnects by itself, retry after a delay, or give up. */
  function handleFailure({ kind, message, ...details }: ConnectionFailure, retrying?: Connection): void {
    const mine = stage
    const error = new EventSourceError(kind, message, details) as ConnectionError
    const attempt = state.attempt + 1
    const isFinal = !retry || (transport.once && !retry.decide && kind !== 'request')
    const decision = !isFinal && guarded('retry.decide', () => decide(error, attempt), false)
    if (stage !== mine) return

    if (retrying && decision === true) {
      retrying.isRetrying = true
      clearTimeout(stageTimer)
      // The browser's own attempt may hang, but its delay does not count as silence.
      handleActivity(maxDelay)
      change({ status: 'reconnecting', reason: kind, error, attempt })
      return
    }
    // A browser that says it is offline may be wrong, so the stream is retried all the same. These attempts do not count.
    const { onLine } = navigator
    const delay = decision === true ? backoff(error.retryAfter, onLine) : decision
    if (typeof delay !== 'number' || Number.isNaN(delay) || (onLine && ownAttempts >= maxAttempts)) {
      enter('ended', { status: 'failed', reason: kind, error })
      return
    }
    if (onLine) ownAttempts++
    const retryAt = Date.now() + Math.max(0, delay)
    enter('waiting', { status: 'reconnecting', reason: kind, error, attempt, retryAt })
  }

  /**
   * Milliseconds before the next attempt. Clients that lost the same server must not all return at once, so half of the delay is
   * random. The server's own delay is the minimum, and the random part comes on top.
   */
  function backoff(retryAfter: number | undefined, onLine: boolean): number {
    const asked = retryAfter === undefined ? (serverRetry ?? 0) : Math.max(retryAfter, MIN_RETRY_AFTER)
    const doubled = Math.min(maxDelay, (serverRetry ?? initialDelay) * 2 ** Math.min(ownAttempts, 30))
    const longest = retryAfter === undefined ? doubled : 0
    const least = Math.max(Math.min(asked, MAX_SERVER_DELAY), longest / 2)
    return Math.max(least + Math.random() * (Math.max(longest, least * 1.2) - least), onLine ? 0 : maxDelay)
  }

  function retryNow(): void {
    const mine = connect({})
    queueMicrotask(() => open(mine))
  }

  function end(reason: EventSourceReason, error = state.error): void {
    // Ended for good: there is nothing to resume, and a new stream starts from the beginning.
    if (reason !== 'stopped') forgetStream()
    enter('ended', { status: 'closed', reason, error, attempt: 0 })
  }

  function forgetStream(): void {
    state.lastEventId = ''
    wasOpen = false
  }

  function isWaiting(): boolean {
    return stage === 'waiting' || (stage !== 'ended' && stage.isRetrying)
  }

  function handleActivity(extra = 0): void {
    isOverdue = false
    if (idleTimeout > 0) idleDeadline.set(Date.now() + idleTimeout + extra)
  }

  /** After sleep, buffered data arrives only once the page runs again, so an overdue connection gets one more second. */
  function checkSilence(late: number): void {
    if (isOverdue || late < TICK) handleFailure({ kind: 'timeout', message: `No data for ${idleTimeout} ms.` })
    else {
      isOverdue = true
      idleDeadline.set(Date.now() + TICK)
    }
  }

  function onPageEvent({ type }: Event): void {
    if (type === 'online' && isWaiting()) retryNow()
    retryDeadline.check()
    idleDeadline.check()
  }

  // --- What the page does

  /** Stops watching the URL. Set while the page wants a stream: from `start` until `stop`. */
  let unwatchUrl: (() => void) | undefined
  /** The URL as last seen by the watcher, and that of the stream, to which the id belongs. */
  let watchedUrl: string | Error | null = null
  let streamUrl: string | Error | null = null
  let isDisposed = false
  let startsOnMount = immediate
  const callers = new WeakSet<EffectScope>()

  function begin(openIn: (task: () => void) => void): void {
    if (streamUrl && streamUrl !== watchedUrl) forgetStream()
    streamUrl = watchedUrl
    ownAttempts = 0
    serverRetry = undefined
    if (!keepContent && watchedUrl && state.lastEventId === '') resetContent()
    const hasFailed = state.status === 'failed'
    const mine = connect(watchedUrl === null ? IDLE : { ...IDLE, status: 'connecting' })
    // In a microtask, so that any number of starts and stops make one connection. After a failure in a task: a page that restarts
    // on every failure must not keep timers and events from running.
    if (!hasFailed) openIn(() => open(mine))
    else if (stage === mine) stageTimer = setTimeout(() => open(mine))
  }

  function start(): void {
    // During server rendering there is no location: nothing opens.
    if (isDisposed || typeof location === 'undefined') return
    unwatchUrl ??= watchUrl()
    if (isWaiting()) retryNow()
    else if (stage === 'ended') begin(queueMicrotask)
  }

  function stop(): void {
    startsOnMount = false
    unwatchUrl?.()
    unwatchUrl = undefined
    if (stage !== 'ended') end('stopped')
  }

  /** In a scope of its own, because `start` may be called in one that ends before the stream. */
  function watchUrl(): () => void {
    const scope = effectScope(true)
    const read = (): string | Error | null => (watchedUrl = resolve(url))
    const check = (): void => {
      if (unwatchUrl && watchedUrl !== streamUrl) begin((task) => task())
    }
    // Checked after the current task, so that a URL that changes and changes back counts as unchanged.
    scope.run(() => watch(read, () => queueMicrotask(check), { flush: 'sync' }))
    return () => scope.stop()
  }

  function resetContent(): void {
    state.content = guarded('initial', initialContent, state.content)
    state.last = null
  }

  function clear(): void {
    forgottenId = state.lastEventId || forgottenId
    resetContent()
    change({ lastEventId: '' })
  }

  function on(event: string, handler: Subscription['handler']): () => void {
    const caller = getCurrentScope()
    const subscription = { event, handler, scope: caller }
    subscriptions.add(subscription)
    if (caller && !callers.has(caller)) unsubscribeWith(caller)
    if (typeof stage === 'object') stage.handle?.listen(event)
    return () => {
      subscriptions.delete(subscription)
    }
  }

  /** One cleanup for each scope, however often `on` is called in it. */
  function unsubscribeWith(caller: EffectScope): void {
    callers.add(caller)
    onScopeDispose(() => {
      for (const one of subscriptions) if (one.scope === caller) subscriptions.delete(one)
    })
  }

  if (getCurrentScope())
    onScopeDispose(() => {
      isDisposed = true
      stop()
      subscriptions.clear()
    })
  if (immediate) {
    const autoStart = (): void => {
      if (startsOnMount) start()
    }
    // Hydration must find what the server rendered: `idle`. A store does not belong to the component that happens to use it first.
    const instance = getCurrentInstance() as { scope?: EffectScope } | null
    if (instance && instance.scope === getCurrentScope()) onMounted(autoStart)
    else queueMicrotask(autoStart)
  }

  return { ...Object.fromEntries(refs), start, stop, clear, on } as UntypedReturn
}

/** The URL as a transport needs it; null if there is none; or why it cannot be used. */
function resolve(url: MaybeRefOrGetter<string | URL | null | undefined>): string | Error | null {
  try {
    const text = toValue(url)?.toString()
    if (!text) return null
    // A worker has no document, and may itself come from a blob.
    const { href, protocol } = new URL(
      text,
      typeof document === 'undefined' ? location.href.replace(/^blob:/, '') : document.baseURI,
    )
    return /^https?:$/.test(protocol) ? href : new Error(`"${text}" is not an http(s) URL.`)
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(String(cause))
  }
}

/** Whether an error may be transient: lost connections, unknown reasons, and servers that are busy or broken. */
function mayPass({ kind, status = 0 }: ConnectionError): boolean {
  if (kind === 'http') return status >= 500 || [408, 425, 429].includes(status)
  return ['network', 'refused', 'timeout', 'request'].includes(kind)
}

/** The last `limit` characters, without half of a surrogate pair. */
function newestOf(text: string, limit: number): string {
  return text.length > limit ? text.slice(text.length - limit).replace(/^[\udc00-\udfff]/, '') : text
}

interface Deadline {
  /** Epoch milliseconds. */
  set: (at: number) => void
  clear: () => void
  check: () => void
}

/**
 * Calls `act` at a wall-clock time, with the number of milliseconds by which it is late. Timers stand still while a machine sleeps;
 * the clock does not, so it is checked every second.
 */
function createDeadline(act: (late: number) => void): Deadline {
  let at = 0
  let readAt = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function check(): void {
    clearTimeout(timer)
    const now = Date.now()
    // A clock that was set back takes the deadline with it.
    at -= Math.max(0, readAt - now)
    readAt = now
    if (now < at) timer = setTimeout(check, Math.min(at - now, TICK))
    else if (at > 0) {
      const late = now - at
      at = 0
      act(late)
    }
  }

  return {
    set(time) {
      // Each event postpones the deadline: the running timer reads the new time.
      const isPostponed = at > 0 && time >= at
      at = time
      readAt = Date.now()
      if (isPostponed) return
      clearTimeout(timer)
      timer = setTimeout(check)
    },
    clear() {
      clearTimeout(timer)
      at = 0
    },
    check,
  }
}

/** Calls back on the next animation frame, or after FRAME_TIMEOUT if there is none. Returns a cancel function. */
function onNextFrame(callback: () => void): () => void {
  const timer = setTimeout(callback, FRAME_TIMEOUT)
  // Some kinds of workers have no frames.
  const frame = typeof requestAnimationFrame === 'function' ? requestAnimationFrame(callback) : null
  return () => {
    clearTimeout(timer)
    if (frame !== null) cancelAnimationFrame(frame)
  }
}

/** Reports an error like any uncaught one: to the console, and to `window.onerror`. */
function reportUncaught(cause: unknown): void {
  ;(globalThis as Partial<typeof globalThis>).reportError?.(cause)
}
