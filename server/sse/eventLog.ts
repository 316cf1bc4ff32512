import type { SseEvent } from './encode.js'

/**
 * A place in a channel. It is the `id` on the wire, so it comes back from clients, and a log never trusts it.
 *
 * - `<epoch>:<offset>`: an event, or as a cursor, "everything up to and including this event was seen". An epoch is one life
 *   of a channel, from its first event to its end. Its offsets count from 1 without gaps; 0 is before its first event.
 * - `<epoch>+`: after the end of that epoch
 * - `0`: before everything: it reads from the oldest stored epoch
 */
export type Position = string

/** An event as passed to a log, which assigns its id. */
export type ChannelEvent = Omit<SseEvent, 'id'>

export interface LoggedEvent {
  readonly position: Position
  /** The bytes for the wire, position included: encoded once, shared by all readers, never to be changed. */
  readonly frame: Buffer
}

/**
 * - `malformed`: the cursor is not a position
 * - `epoch`: the channel does not have its epoch, or no longer
 * - `trimmed`: the events after it are no longer stored
 * - `ahead`: no event that new was ever appended, so the log was set back
 */
export type GapReason = 'malformed' | 'epoch' | 'trimmed' | 'ahead'

/** Why a cursor cannot be continued without a loss. It is sent to the client unchanged. */
export interface Gap {
  reason: GapReason
  /** The cursor, cut to 100 characters: it may be forged. */
  requested: string
  /** The oldest stored event of the epoch that is read next, or null. */
  oldest: Position | null
  /** The newest event of that epoch. */
  latest: Position
}

export interface Batch {
  events: readonly LoggedEvent[]
  /** The position before `events`: the cursor, or for a newcomer and after a gap, where to continue. */
  after: Position
  /** The newest event of the epoch that was read, or `after` if there is none. */
  top: Position
  /** The epoch has ended, and `events` reach its end: nothing will ever follow. */
  finished: boolean
  /**
   * The cursor could not be continued, and `events` is empty. `after` is then just before the oldest stored event, of the oldest
   * epoch if the cursor's own is gone. If the log was set back, `after` is the top, because the client may have seen the stored
   * events; in an ended epoch it is before the last event, so that the client gets the end.
   */
  gap?: Gap
  /**
   * Events may be missing between the cursor and the newest one: the log was restarted there, and nobody knows what it lost. What
   * it has continues, but a copy of a state kept elsewhere should be read again.
   */
  mayLack?: true
}

export interface AppendOptions {
  /** Makes the append idempotent: while the event with this key is stored, appending it again only returns its position. */
  key?: string
  /** Who is charged for the event's room. Without a client, only the limits of the whole log apply. */
  client?: string
}

export interface EndOptions {
  /**
   * Where subscribers wait for the first event of an epoch: `0` and `<epoch>+`. If there is no living epoch and nothing follows one
   * of these positions, an epoch begins for the last event alone, so that these subscribers get the end.
   */
  waiting?: readonly Position[]
  /** Who is charged for that epoch. */
  client?: string
}

export interface ReadLimits {
  /** Bytes of frames, exceeded only by a single larger event. With 0 no event is read. */
  maxBytes: number
}

export interface Watcher {
  /**
   * There may be new events. Called when the watch is established, after every later append and end, and after every
   * reconnection. It may also be called if nothing is new. Neither callback is called before `watch` has returned.
   */
  onAppend: () => void
  /** The watch was interrupted. The log re-establishes it by itself, then calls `onAppend`. */
  onError: (error: unknown) => void
}

/** Results may come at once (from memory) or later (from a server): always await them. */
export type Awaitable<T> = T | Promise<T>

/**
 * Channels, each a bounded log of frames.
 *
 * A log may be on another machine: any call may reject with `unavailable`, or never settle. An `append` or `end` that failed this
 * way may still have happened. All other failures are EventLogErrors too.
 */
export interface EventLog {
  /** An epoch always keeps at least this many of its newest events, as long as their frames take no more than this many bytes. */
  readonly retention: { readonly events: number; readonly bytes: number }
  /** Encodes and stores one event, and begins an epoch if none is living. @throws SseEncodeError */
  append(channel: string, event: ChannelEvent, options?: AppendOptions): Awaitable<Position>
  /**
   * Appends a last event and ends the epoch, even at capacity. The epoch stays readable for the retention age, but newcomers
   * do not see it. Null if no epoch is living and nobody is `waiting` for one.
   */
  end(channel: string, last: ChannelEvent, options?: EndOptions): Awaitable<Position | null>
  /**
   * Reads the events after a cursor, oldest first, and changes nothing. The cursor is untrusted. Null is a newcomer: it starts at
   * the oldest event of the living epoch, else after the last epoch, else at `0`.
   */
  read(channel: string, after: string | null, limits: ReadLimits): Awaitable<Batch>
  /** Returns a function that stops the watch. A watched epoch is not forgotten, though its events are. */
  watch(channel: string, watcher: Watcher): () => void
  /** Releases everything. Nothing works afterwards. */
  close(): Awaitable<void>
}

/**
 * - `channels`, `bytes`: no room, or none for this client; answer 503 with `Retry-After`. Nothing stored is evicted to make
 *   room.
 * - `oversized`: one event is too large
 * - `unavailable`: the log cannot be reached, or did not answer in time
 * - `closed`: used after `close`
 */
export type EventLogErrorKind = 'channels' | 'bytes' | 'oversized' | 'unavailable' | 'closed'

export class EventLogError extends Error {
  override readonly name = 'EventLogError'
  readonly kind: EventLogErrorKind
  /** Seconds after which another attempt may succeed; null if waiting does not help. */
  readonly retryAfter: number | null

  constructor(
    kind: EventLogErrorKind,
    message: string,
    retryAfter: EventLogError['retryAfter'] = null,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.kind = kind
    this.retryAfter = retryAfter
  }
}

/** A parsed position: `offset` is `Infinity` for `<epoch>+`, and `epoch` is null for `0`. */
export type ParsedPosition = { epoch: string; offset: number } | { epoch: null }

/** Parses a position; null if the text is not one. Each position has exactly one spelling. */
export function parsePosition(text: string): ParsedPosition | null {
  if (text === '0') return { epoch: null }
  const [, epoch, offset] = /^([\w-]{1,32})(?:\+|:(0|[1-9]\d{0,15}))$/.exec(text) ?? []
  return epoch === undefined ? null : { epoch, offset: Number(offset ?? Infinity) }
}
