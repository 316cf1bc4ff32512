import type { SseEvent } from './encode'

/**
 * `<epoch>:<offset>`: where an event is in its channel, and the `id` that the event carries on the wire.
 *
 * An epoch is one life of a channel, from its first use until it is over; its offsets count from 1 without a hole, and 0
 * is before its first event. A position as a cursor means: everything up to and including this one was seen.
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
 * - `ahead`: nothing that new was ever appended
 * - `trimmed`: what came after it is no longer kept
 */
export type GapReason = 'malformed' | 'epoch' | 'ahead' | 'trimmed'

/** Why a cursor cannot be continued without a loss. It is meant to be told to the client as it is. */
export interface Gap {
  reason: GapReason
  /** The cursor, cut off after 100 characters: it may be forged. */
  requested: string
  /** The oldest event that is kept, or null. */
  oldest: Position | null
  latest: Position
}

export interface Batch {
  events: readonly LoggedEvent[]
  /**
   * Where `events` begin. A newcomer's is before the oldest event that is kept. After a gap it is where to go on: the top,
   * or in an epoch that is over, just before its last event, so that the end is told.
   */
  after: Position
  /** The newest event of the epoch that was read. */
  top: Position
  /** The epoch is over, and `events` reach its end: nothing will ever follow. */
  finished: boolean
  /** The cursor could not be continued; `events` is empty. */
  gap?: Gap
}

/** Results may come at once, as from memory, or later, as from a server: always await them. */
type Awaitable<T> = T | Promise<T>

/** Channels, each a bounded log of frames. Every method but `watch` throws, or rejects with, an EventLogError. */
export interface EventLog {
  /** Encodes and keeps one event, beginning an epoch if the channel has none. @throws SseEncodeError */
  append(channel: string, event: ChannelEvent): Awaitable<Position>
  /**
   * Appends a last event and ends the epoch, at capacity too. The epoch stays readable for the retention age, and is not
   * shown to newcomers. Null when the channel has no epoch to end.
   */
  end(channel: string, last: ChannelEvent): Awaitable<Position | null>
  /**
   * Reads what follows a cursor, oldest first: up to `limit` bytes, but at least one event, and with `limit` 0 none. A
   * cursor is untrusted; null is a newcomer. Where it needs a living epoch and there is none, it begins one.
   */
  read(channel: string, after: string | null, limit: number): Awaitable<Batch>
  /**
   * Calls `onAppend` soon after every append and end; it may call with nothing new, and must not miss one. A channel that is
   * watched does not go. Returns what stops it.
   */
  watch(channel: string, onAppend: () => void): () => void
  /** Lets go of everything. Nothing works afterwards. */
  close(): Awaitable<void>
}

/**
 * - `channels`, `bytes`: no room; answer 503 with `Retry-After`. Nothing that is kept is evicted to make room.
 * - `oversized`: one event is too large
 * - `closed`: used after `close`
 */
export type EventLogErrorKind = 'channels' | 'bytes' | 'oversized' | 'closed'

export class EventLogError extends Error {
  override readonly name = 'EventLogError'
  constructor(
    readonly kind: EventLogErrorKind,
    message: string,
    /** Seconds after which there may be room; null where waiting does not help. */
    readonly retryAfter: number | null = null,
  ) {
    super(message)
  }
}

/** The parts of a position, or null for text that is none. Only one text is a given position. */
export function parsePosition(text: string): { epoch: string; offset: number } | null {
  const [, epoch, offset] = /^([\w-]{1,32}):(0|[1-9]\d{0,15})$/.exec(text) ?? []
  return epoch === undefined ? null : { epoch, offset: Number(offset) }
}
