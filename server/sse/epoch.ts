import { encode } from './encode.js'
import {
  EventLogError,
  type AppendOptions,
  type Batch,
  type ChannelEvent,
  type GapReason,
  type LoggedEvent,
  type Position,
  type ReadLimits,
} from './eventLog.js'
import { Ring } from './ring.js'
import type { Shares } from './shares.js'

export interface EpochLimits {
  maxEvents: number
  maxBytes: number
  maxFrameBytes: number
}

/** An event that is encoded but not yet appended. */
export interface NextEvent extends LoggedEvent, AppendOptions {
  /** Bytes that will be charged for it. */
  readonly cost: number
}

interface KeptEvent extends NextEvent {
  readonly at: number
}

/** Bytes of memory that an event takes besides its frame, and an epoch besides its events; measured and rounded up. */
export const EVENT_COST = 512
export const EPOCH_COST = 1_024

/** What surely fits into an epoch, whatever the size of each event. */
export function surelyKept(maxEvents: number, maxBytes: number): { events: number; bytes: number } {
  const bytes = Math.floor((maxBytes - EPOCH_COST) / 2)
  return { events: Math.min(maxEvents, Math.floor(bytes / EVENT_COST)), bytes }
}

/** One life of a channel in memory: its newest events. It gets the time from its caller, and does not know other epochs. */
export class Epoch {
  readonly id: string
  /** Whether its last event was appended. */
  over = false
  /** When it was last used: begun, appended to, ended, succeeded by another epoch while watched, or left by its last watcher. */
  usedAt: number
  readonly #limits: EpochLimits
  /** The bytes of all epochs together. */
  readonly #shares: Shares
  readonly #owner: string | undefined
  readonly #events = new Ring<KeptEvent>()
  readonly #keys = new Map<string, Position>()
  #bytes = EPOCH_COST
  #top = 0

  constructor(id: string, limits: EpochLimits, shares: Shares, now: number, owner?: string) {
    this.id = id
    this.#limits = limits
    this.#shares = shares
    this.#owner = owner
    this.usedAt = now
  }

  /** The position of the event with this key, while it is stored. */
  positionOf(key: string): Position | undefined {
    return this.#keys.get(key)
  }

  /** The next event, not yet appended. @throws EventLogError `oversized`, SseEncodeError */
  next(event: ChannelEvent, { key, client = this.#owner }: AppendOptions = {}): NextEvent {
    const position = this.#position(this.#top + 1)
    const encoded = encode({ ...event, id: position })
    const max = Math.min(this.#limits.maxFrameBytes, this.#limits.maxBytes - EPOCH_COST - EVENT_COST)
    const size = encoded.length + (key?.length ?? 0)
    if (size > max)
      throw new EventLogError('oversized', `An event of ${size} bytes exceeds the limit, ${max}: send less at once.`)
    // `encode` may return a slice of a pool: one small frame would then keep 8 KiB alive.
    const frame = Buffer.allocUnsafeSlow(encoded.length)
    encoded.copy(frame)
    return {
      position,
      frame,
      cost: size + EVENT_COST,
      ...(key === undefined ? {} : { key }),
      ...(client === undefined ? {} : { client }),
    }
  }

  /** Bytes by which the epoch would grow: negative if the ring drops more than it takes. */
  growth(next: NextEvent): number {
    return (this.#top === 0 ? EPOCH_COST : 0) + next.cost - this.#overflow(next).freed
  }

  append(next: NextEvent, now: number): void {
    if (this.#top === 0) this.#shares.add(EPOCH_COST, this.#owner)
    this.#drop(this.#overflow(next).count)
    this.#top += 1
    this.#events.push({ ...next, at: now })
    if (next.key !== undefined) this.#keys.set(next.key, next.position)
    this.#charge(next.cost, next.client)
    this.usedAt = now
  }

  /** Drops the events that are not younger than `time`. An ended epoch keeps all of them while its end is younger, and its last event forever. */
  forget(time: number): void {
    if (this.over && this.usedAt > time) return
    const least = this.over ? 1 : 0
    let count = 0
    while (count < this.#events.length - least && (this.#events.at(count)?.at ?? Infinity) <= time) count += 1
    this.#drop(count)
  }

  /** Gives back everything that the epoch was charged. */
  release(): void {
    this.#drop(this.#events.length)
    this.#shares.add(-EPOCH_COST, this.#owner)
  }

  /** For a newcomer: from the oldest stored event. */
  readOldest(limits: ReadLimits): Batch {
    return this.#batch(this.#oldest - 1, this.#position(this.#oldest - 1), limits)
  }

  /** After an offset, 0 for a cursor before this epoch. `requested` is the cursor verbatim. */
  read(offset: number, requested: string, limits: ReadLimits): Batch {
    if (offset > this.#top) return this.gap('ahead', requested)
    if (offset < this.#oldest - 1) return this.gap('trimmed', requested)
    return this.#batch(offset, requested, limits)
  }

  gap(reason: GapReason, requested: string): Batch {
    const top = this.#position(this.#top)
    const beforeOldest = this.#position(this.#oldest - 1)
    const beforeEnd = this.over ? this.#position(this.#top - 1) : top
    return {
      events: [],
      after: reason === 'ahead' ? beforeEnd : beforeOldest,
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

  get #oldest(): number {
    return this.#top - this.#events.length + 1
  }

  #position(offset: number): Position {
    return `${this.id}:${offset}`
  }

  /** How many of the oldest events the ring would drop for the next one, and the bytes that frees. */
  #overflow(next: NextEvent): { count: number; freed: number } {
    const { maxEvents, maxBytes } = this.#limits
    let count = 0
    let freed = 0
    for (let old = this.#events.at(0); old; old = this.#events.at(count)) {
      if (this.#events.length - count < maxEvents && this.#bytes - freed + next.cost <= maxBytes) break
      count += 1
      freed += old.cost
    }
    return { count, freed }
  }

  #drop(count: number): void {
    for (let n = 0; n < count; n++) {
      const old = this.#events.shift()
      if (!old) return
      if (old.key !== undefined) this.#keys.delete(old.key)
      this.#charge(-old.cost, old.client)
    }
  }

  #charge(bytes: number, client: string | undefined): void {
    this.#bytes += bytes
    this.#shares.add(bytes, client)
  }

  #batch(offset: number, after: Position, { maxBytes }: ReadLimits): Batch {
    const first = offset + 1 - this.#oldest
    const events: LoggedEvent[] = []
    let bytes = 0
    for (let event = this.#events.at(first); event && maxBytes > 0; event = this.#events.at(first + events.length)) {
      bytes += event.frame.length
      if (bytes > maxBytes && events.length > 0) break
      events.push(event)
    }
    return {
      events,
      after,
      top: this.#position(this.#top),
      finished: this.over && first + events.length === this.#events.length,
    }
  }
}
