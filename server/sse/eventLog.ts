import type { SseEvent } from './encode.js'

/**
 * Where something is in a channel. As the `id` on the wire it comes back from clients, so a log never trusts one.
 *
 * - `<epoch>:<offset>`: an event, or as a cursor, "everything up to and including this event was seen". An epoch is one life
 *   of a channel, from its first event to its end. Its offsets count from 1 without a hole; 0 is before its first event.
 * - `<epoch>+`: after the end of that epoch, "whatever follows it"
 * - `0`: before anything, "whatever comes first": it reads from the oldest epoch that is kept
 */
export type Position = string

/** An event as it is given to a log, which gives it its id. */
export type ChannelEvent = Omit<SseEvent, 'id'>

export interface LoggedEvent {
  readonly position: Position
  /** The bytes for the wire, position included: encoded once, shared by everyone who reads it, never to be changed. */
  readonly frame: Buffer
}

/**
 * - `malformed`: the cursor is not a position
 * - `epoch`: its epoch is not, or no longer, one of this channel
 * - `trimmed`: what came after it is no longer kept
 * - `ahead`: nothing that new was ever appended, so the log was set back
 */
export type GapReason = 'malformed' | 'epoch' | 'trimmed' | 'ahead'

/** Why a cursor cannot be continued without a loss, to be told to the client as it is. */
export interface Gap {
  reason: GapReason
  /** The cursor, cut off after 100 characters: it may be forged. */
  requested: string
  /** The oldest event kept of the epoch that is read next, or null. */
  oldest: Position | null
  /** The newest event of that epoch. */
  latest: Position
}

export interface Batch {
  events: readonly LoggedEvent[]
  /** Where `events` begin: the cursor, or for a newcomer and after a gap, where to continue. */
  after: Position
  /** The newest event of the epoch that was read, or `after` where there is nothing. */
  top: Position
  /** The epoch is over, and `events` reach its end: nothing will ever follow. */
  finished: boolean
  /**
   * The cursor could not be continued, and `events` is empty. `after` is then just before the oldest event that is kept, of the
   * oldest epoch if the cursor's own is gone. Where the log was set back it is the top, because the client may have seen what is
   * kept; in an epoch that is over it is before the last event, so that the end is told.
   */
  gap?: Gap
}

export interface AppendOptions {
  /** Makes a repetition harmless: while the event with this key is kept, another append with it only returns its position. */
  key?: string
  /** Who is charged for the room that the event takes. Without it, only the bounds of the whole log apply. */
  client?: string
}

export interface EndOptions {
  /**
   * Where subscribers wait for the first event of an epoch: `0` and `<epoch>+`. If no epoch lives and nothing follows one of these
   * positions, an epoch begins for the last event alone, so that they hear of the end.
   */
  waiting?: readonly Position[]
  /** Who is charged for that epoch. */
  client?: string
}

export interface ReadLimits {
  /** Bytes of frames, more only for one larger event. With 0 no event is read. */
  maxBytes: number
}

export interface Watcher {
  /**
   * There may be something new. Called when the watch is established, after every append and end from then on, and after
   * every reconnection. It may be called with nothing new. Neither callback is called before `watch` has returned.
   */
  onAppend: () => void
  /** The watch was interrupted. The log re-establishes it by itself, then calls `onAppend`. */
  onError: (error: unknown) => void
}

/** Results may come at once, as from memory, or later, as from a server: always await them. */
export type Awaitable<T> = T | Promise<T>

/**
 * Channels, each a bounded log of frames.
 *
 * A log may be somewhere else: any call may reject with `unavailable`, or never settle. An `append` or `end` that failed so may
 * still have happened. Whatever else goes wrong is an EventLogError too.
 */
export interface EventLog {
  /** So many of its newest events an epoch always keeps, as long as their frames have no more than so many bytes. */
  readonly retention: { readonly events: number; readonly bytes: number }
  /** Encodes and keeps one event, beginning an epoch if none lives. @throws SseEncodeError */
  append(channel: string, event: ChannelEvent, options?: AppendOptions): Awaitable<Position>
  /**
   * Appends a last event and ends the epoch, at capacity too. The epoch stays readable for the retention age, and is not
   * shown to newcomers. Null if no epoch lives and nobody is `waiting` for one.
   */
  end(channel: string, last: ChannelEvent, options?: EndOptions): Awaitable<Position | null>
  /**
   * Reads what follows a cursor, oldest first, and changes nothing. A cursor is untrusted. Null is a newcomer: it starts at the
   * oldest event of the living epoch, else after the last epoch, else at `0`.
   */
  read(channel: string, after: string | null, limits: ReadLimits): Awaitable<Batch>
  /** Returns what stops the watch. An epoch that is watched is not forgotten, though its events are. */
  watch(channel: string, watcher: Watcher): () => void
  /** Lets go of everything. Nothing works afterwards. */
  close(): Awaitable<void>
}

/**
 * - `channels`, `bytes`: no room, or none for this client; answer 503 with `Retry-After`. Nothing that is kept is evicted to
 *   make room.
 * - `oversized`: one event is too large
 * - `unavailable`: the log cannot be reached, or did not answer in time
 * - `closed`: used after `close`
 */
export type EventLogErrorKind = 'channels' | 'bytes' | 'oversized' | 'unavailable' | 'closed'

export class EventLogError extends Error {
  override readonly name = 'EventLogError'
  readonly kind: EventLogErrorKind
  /** Seconds after which another attempt may succeed; null where waiting does not help. */
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

/** A position in parts: `offset` is `Infinity` for `<epoch>+`, and `epoch` is null for `0`. */
export type ParsedPosition = { epoch: string; offset: number } | { epoch: null }

/** The parts of a position, or null for text that is none. Only one text is a given position. */
export function parsePosition(text: string): ParsedPosition | null {
  if (text === '0') return { epoch: null }
  const [, epoch, offset] = /^([\w-]{1,32})(?:\+|:(0|[1-9]\d{0,15}))$/.exec(text) ?? []
  return epoch === undefined ? null : { epoch, offset: Number(offset ?? Infinity) }
}
