import { randomBytes } from 'node:crypto'
import { encode } from './encode'
import {
  EventLogError,
  parsePosition,
  type Batch,
  type ChannelEvent,
  type GapReason,
  type LoggedEvent,
  type Position,
} from './eventLog'

export interface EpochLimits {
  maxEvents: number
  maxBytes: number
  maxFrameBytes: number
}

interface KeptEvent extends LoggedEvent {
  readonly at: number
}

/** Bytes of memory that it takes to keep an event beside its frame, and an epoch beside its events; measured, rounded up. */
const EVENT_COST = 512
const EPOCH_COST = 1_024

/** One life of a channel in memory: a ring of its newest events. It is told the time, and knows nothing of other epochs. */
export class Epoch {
  readonly id: string = randomBytes(9).toString('base64url')
  /** Its last event was appended. */
  over = false
  /** What it takes of memory. */
  bytes: number = EPOCH_COST
  /** When it was last used: begun, appended to, ended, or left by its last watcher. */
  usedAt: number
  readonly #limits: EpochLimits
  readonly #events: KeptEvent[] = []
  #top = 0

  constructor(limits: EpochLimits, now: number) {
    this.#limits = limits
    this.usedAt = now
  }

  /** The next event, not yet appended. @throws EventLogError `oversized`, SseEncodeError */
  frame(event: ChannelEvent): LoggedEvent {
    const position = this.#position(this.#top + 1)
    const encoded = encode({ ...event, id: position })
    const max = Math.min(this.#limits.maxFrameBytes, this.#limits.maxBytes - EPOCH_COST - EVENT_COST)
    if (encoded.length > max)
      throw new EventLogError(
        'oversized',
        `An event of ${encoded.length} bytes exceeds the limit, ${max}: send less at once.`,
      )
    // What `encode` returns may be a slice of a pool, of which one small frame would keep 8 KiB alive.
    const frame = Buffer.allocUnsafeSlow(encoded.length)
    encoded.copy(frame)
    return { position, frame }
  }

  /** Bytes that the epoch would grow by: negative where the ring drops more than it takes. */
  growth(next: LoggedEvent): number {
    return costOf(next) - this.#overflow(next).freed
  }

  append(next: LoggedEvent, now: number): void {
    this.#drop(this.#overflow(next).count)
    this.#top += 1
    this.#events.push({ ...next, at: now })
    this.bytes += costOf(next)
    this.usedAt = now
  }

  /** Drops the events that are not younger than `time`. */
  forget(time: number): void {
    const young = this.#events.findIndex(({ at }) => at > time)
    this.#drop(young === -1 ? this.#events.length : young)
  }

  /** As a newcomer: from the oldest event that is kept. */
  readOldest(limit: number): Batch {
    return this.#batch(this.#oldest - 1, limit)
  }

  /** After an untrusted cursor. */
  read(after: string, limit: number): Batch {
    const cursor = parsePosition(after)
    if (!cursor) return this.#gap(after, 'malformed')
    if (cursor.epoch !== this.id) return this.#gap(after, 'epoch')
    if (cursor.offset > this.#top) return this.#gap(after, 'ahead')
    if (cursor.offset < this.#oldest - 1) return this.#gap(after, 'trimmed')
    return this.#batch(cursor.offset, limit)
  }

  get #oldest(): number {
    return this.#top - this.#events.length + 1
  }

  #position(offset: number): Position {
    return `${this.id}:${offset}`
  }

  /** How many of the oldest events the ring would drop for the next one, and the bytes that this frees. */
  #overflow(next: LoggedEvent): { count: number; freed: number } {
    const { maxEvents, maxBytes } = this.#limits
    let count = 0
    let freed = 0
    for (const old of this.#events) {
      if (this.#events.length - count < maxEvents && this.bytes - freed + costOf(next) <= maxBytes) break
      count += 1
      freed += costOf(old)
    }
    return { count, freed }
  }

  #drop(count: number): void {
    if (count > 0) for (const event of this.#events.splice(0, count)) this.bytes -= costOf(event)
  }

  #batch(offset: number, limit: number): Batch {
    const first = offset + 1 - this.#oldest
    let end = first
    let bytes = 0
    for (const { frame } of limit > 0 ? this.#events.slice(first) : []) {
      bytes += frame.length
      if (bytes > limit && end > first) break
      end += 1
    }
    return {
      events: this.#events.slice(first, end),
      after: this.#position(offset),
      top: this.#position(this.#top),
      finished: this.over && end === this.#events.length,
    }
  }

  #gap(requested: string, reason: GapReason): Batch {
    const top = this.#position(this.#top)
    return {
      events: [],
      after: this.over ? this.#position(this.#top - 1) : top,
      top,
      finished: false,
      gap: {
        reason,
        requested: requested.slice(0, 100),
        oldest: this.#events.length > 0 ? this.#position(this.#oldest) : null,
        latest: top,
      },
    }
  }
}

function costOf({ frame }: LoggedEvent): number {
  return frame.length + EVENT_COST
}
