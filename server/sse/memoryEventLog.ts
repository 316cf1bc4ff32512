import { Epoch, type EpochLimits } from './epoch'
import { EventLogError, parsePosition, type Batch, type ChannelEvent, type EventLog, type Position } from './eventLog'

/** Bytes are bytes of memory: an event counts some 512 beside its frame, an epoch some 1,024 beside its events. */
export interface MemoryEventLogOptions {
  /** Events that an epoch keeps: the newest. @default 1_000 */
  maxEvents?: number
  /** Bytes that an epoch keeps: the newest. @default 4 MiB */
  maxBytes?: number
  /** Milliseconds that an event, an epoch that is over and a channel that nobody uses are kept. @default 600_000, 10 minutes */
  maxAge?: number
  /** Bytes of one frame. Half of what an emitter may leave unsent always fits. @default 512 KiB */
  maxFrameBytes?: number
  /** Channels at once. @default 10_000 */
  maxChannels?: number
  /** Bytes of all channels together. @default 256 MiB */
  maxTotalBytes?: number
  /** A clock in milliseconds that never goes back. @default performance.now */
  now?: () => number
}

interface Channel {
  living: Epoch | null
  /** By id, in the order in which they began and ended, with the living one last. */
  readonly epochs: Map<string, Epoch>
}

/** Seconds. Room comes with age, so that nothing better is known. */
const RETRY_AFTER = 30

/** The log of one process, in its memory. Its results come at once. */
export class MemoryEventLog implements EventLog {
  readonly #epochLimits: EpochLimits
  readonly #maxAge: number
  readonly #maxChannels: number
  readonly #maxTotalBytes: number
  readonly #now: () => number
  readonly #channels = new Map<string, Channel>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #sweeper: NodeJS.Timeout
  #bytes = 0
  #closed = false

  constructor(options: MemoryEventLogOptions = {}) {
    const { maxEvents = 1_000, maxBytes = 4 * 2 ** 20, maxFrameBytes = 2 ** 19, maxAge = 600_000 } = options
    this.#epochLimits = { maxEvents, maxBytes, maxFrameBytes }
    this.#maxAge = maxAge
    this.#maxChannels = options.maxChannels ?? 10_000
    this.#maxTotalBytes = options.maxTotalBytes ?? 256 * 2 ** 20
    this.#now = options.now ?? (() => performance.now())
    // A channel in use is rid of what is too old by its use; this is for those that nobody uses.
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(maxAge, 60_000)).unref()
  }

  /** Channels that are kept. */
  get size(): number {
    return this.#channels.size
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  append(name: string, event: ChannelEvent): Position {
    const living = this.#channel(name)?.living
    const epoch = living ?? this.#newEpoch()
    const next = epoch.frame(event)
    this.#reserve((living ? 0 : epoch.bytes) + epoch.growth(next))
    if (!living) this.#begin(name, epoch)
    this.#change(epoch, () => epoch.append(next, this.#now()))
    this.#wake(name)
    return next.position
  }

  end(name: string, last: ChannelEvent): Position | null {
    const channel = this.#channel(name)
    const epoch = channel?.living
    if (!epoch) return null
    const next = epoch.frame(last)
    this.#change(epoch, () => epoch.append(next, this.#now()))
    epoch.over = true
    channel.living = null
    this.#wake(name)
    return next.position
  }

  read(name: string, after: string | null, limit: number): Batch {
    const channel = this.#channel(name)
    const named = after === null ? undefined : channel?.epochs.get(parsePosition(after)?.epoch ?? '')
    let epoch = named ?? channel?.living
    if (!epoch) {
      epoch = this.#newEpoch()
      this.#reserve(epoch.bytes)
      this.#begin(name, epoch)
    }
    return after === null ? epoch.readOldest(limit) : epoch.read(after, limit)
  }

  watch(name: string, onAppend: () => void): () => void {
    // Its own function, so that one callback can watch twice and stop once.
    const watcher = (): void => onAppend()
    const watchers = this.#watchers.get(name) ?? new Set()
    this.#watchers.set(name, watchers.add(watcher))
    return () => {
      if (!watchers.delete(watcher) || watchers.size > 0) return
      this.#watchers.delete(name)
      const living = this.#channels.get(name)?.living
      if (living) living.usedAt = this.#now()
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#channels.clear()
    this.#watchers.clear()
    this.#bytes = 0
  }

  /** A channel, rid of what is too old; undefined when nothing is left of it. */
  #channel(name: string): Channel | undefined {
    if (this.#closed) throw new EventLogError('closed', 'The log is closed: the server is going down.')
    const channel = this.#channels.get(name)
    if (!channel) return undefined
    const aged = this.#now() - this.#maxAge
    const { living } = channel
    if (living) this.#change(living, () => living.forget(aged))
    // The living one began after all others ended: when it goes, so does the channel.
    for (const epoch of channel.epochs.values()) {
      if (epoch.usedAt > aged || (epoch === living && this.#watchers.has(name))) break
      channel.epochs.delete(epoch.id)
      this.#bytes -= epoch.bytes
    }
    if (channel.epochs.size > 0) return channel
    this.#channels.delete(name)
    return undefined
  }

  #newEpoch(): Epoch {
    return new Epoch(this.#epochLimits, this.#now())
  }

  #begin(name: string, epoch: Epoch): void {
    const channel = this.#channels.get(name) ?? { living: null, epochs: new Map<string, Epoch>() }
    if (channel.epochs.size === 0 && this.#channels.size >= this.#maxChannels)
      throw new EventLogError(
        'channels',
        `${this.#maxChannels} channels are kept: use one of them, or try again later.`,
        RETRY_AFTER,
      )
    channel.living = epoch
    channel.epochs.set(epoch.id, epoch)
    this.#channels.set(name, channel)
    this.#bytes += epoch.bytes
  }

  /** A ring that is full does not grow: its channel goes on when all channels together are full. */
  #reserve(bytes: number): void {
    if (bytes > 0 && this.#bytes + bytes > this.#maxTotalBytes)
      throw new EventLogError(
        'bytes',
        `All channels together hold ${this.#maxTotalBytes} bytes: send less, or try again later.`,
        RETRY_AFTER,
      )
  }

  #change(epoch: Epoch, change: () => void): void {
    const before = epoch.bytes
    change()
    this.#bytes += epoch.bytes - before
  }

  #wake(name: string): void {
    for (const watcher of this.#watchers.get(name) ?? []) watcher()
  }

  #sweep(): void {
    for (const name of this.#channels.keys()) this.#channel(name)
  }
}
