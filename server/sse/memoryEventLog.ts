import { randomBytes } from 'node:crypto'
import { Epoch, EPOCH_COST, EVENT_COST, surelyKept, type EpochLimits } from './epoch.js'
import {
  EventLogError,
  parsePosition,
  type AppendOptions,
  type Batch,
  type ChannelEvent,
  type EndOptions,
  type EventLog,
  type Position,
  type ReadLimits,
  type Watcher,
} from './eventLog.js'
import { Shares } from './shares.js'

/**
 * Bytes are bytes of memory: an event counts 512 besides its frame, an epoch 1,024 besides its events.
 *
 * If appends name a client, one client may hold as many bytes, and may have begun as many channels, as are still free.
 */
export interface MemoryEventLogOptions {
  /** The newest events that an epoch keeps. @default 1_000 */
  maxEvents?: number
  /** The newest bytes that an epoch keeps. @default 4 MiB */
  maxBytes?: number
  /** Milliseconds for which events, ended epochs and unused channels are kept. @default 600_000, 10 minutes */
  maxAge?: number
  /** Bytes of one frame. Half of what an emitter may leave unsent always fits. @default 512 KiB */
  maxFrameBytes?: number
  /** Channels at once. @default 10_000 */
  maxChannels?: number
  /** Bytes of all channels together. @default 256 MiB */
  maxTotalBytes?: number
  /** A clock in milliseconds that never goes back. @default performance.now */
  now?: () => number
  /** The name of the next epoch: never the same twice, not even after a restart. @default 12 random characters */
  newEpochId?: () => string
}

/** The defaults of every log. */
export const memoryLogDefaults: Required<Omit<MemoryEventLogOptions, 'now' | 'newEpochId'>> = {
  maxEvents: 1_000,
  maxBytes: 4 * 2 ** 20,
  maxAge: 600_000,
  maxFrameBytes: 2 ** 19,
  maxChannels: 10_000,
  maxTotalBytes: 256 * 2 ** 20,
}

interface Channel {
  /** The living epoch, else the one that ended last. */
  newest: Epoch
  /** By id, oldest first. */
  readonly epochs: Map<string, Epoch>
  /** One of its epochs was forgotten, so the first events after `0` are lost. */
  hasForgotten: boolean
  /** The client that began it. */
  readonly owner: string | undefined
}

/** Seconds. Room becomes free with age, so there is no better estimate. */
const RETRY_AFTER = 30

/** The log of one process, in its memory. Its results are synchronous. */
export class MemoryEventLog implements EventLog {
  readonly retention: EventLog['retention']
  readonly #epochLimits: EpochLimits
  readonly #maxAge: number
  readonly #now: () => number
  readonly #newEpochId: () => string
  readonly #channels = new Map<string, Channel>()
  readonly #watchers = new Map<string, Set<() => void>>()
  readonly #sweeper: NodeJS.Timeout
  readonly #channelShares: Shares
  readonly #byteShares: Shares
  #closed = false

  constructor(options: MemoryEventLogOptions = {}) {
    const limits = { ...memoryLogDefaults, ...options }
    const { maxEvents, maxBytes, maxAge, maxFrameBytes, maxChannels, maxTotalBytes } = limits
    this.retention = surelyKept(maxEvents, maxBytes)
    // An event larger than the whole log never fits, however long its client waits.
    const fitting = maxTotalBytes - EPOCH_COST - EVENT_COST
    this.#epochLimits = { maxEvents, maxBytes, maxFrameBytes: Math.min(maxFrameBytes, fitting) }
    this.#maxAge = maxAge
    this.#channelShares = new Shares(maxChannels)
    this.#byteShares = new Shares(maxTotalBytes)
    this.#now = options.now ?? (() => performance.now())
    this.#newEpochId = options.newEpochId ?? (() => randomBytes(9).toString('base64url'))
    // Using a channel drops its old events; this is for channels that nobody uses.
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(maxAge, 60_000)).unref()
  }

  /** Stored channels. */
  get size(): number {
    return this.#channels.size
  }

  /** Stored bytes. */
  get bytes(): number {
    return this.#byteShares.used
  }

  append(name: string, event: ChannelEvent, options: AppendOptions = {}): Position {
    const { key, client } = options
    const channel = this.#channel(name)
    if (key !== undefined)
      for (const epoch of channel?.epochs.values() ?? []) {
        const position = epoch.positionOf(key)
        if (position !== undefined) return position
      }
    const epoch = channel && !channel.newest.over ? channel.newest : this.#newEpoch(client)
    const next = epoch.next(event, options)
    this.#reserve(channel, epoch.growth(next), client)
    epoch.append(next, this.#now())
    if (epoch !== channel?.newest) this.#begin(name, epoch, client)
    this.#wake(name)
    return next.position
  }

  end(name: string, last: ChannelEvent, { waiting = [], client }: EndOptions = {}): Position | null {
    const channel = this.#channel(name)
    const living = channel && !channel.newest.over ? channel.newest : null
    const nothingFollows = (position: Position): boolean => !channel || position === `${channel.newest.id}+`
    if (!living && !waiting.some(nothingFollows)) return null
    const epoch = living ?? this.#newEpoch(client)
    const next = epoch.next(last)
    if (!living) this.#reserveForEnd(channel, epoch.growth(next))
    epoch.append(next, this.#now())
    epoch.over = true
    if (!living) this.#begin(name, epoch, client)
    this.#wake(name)
    return next.position
  }

  read(name: string, after: string | null, limits: ReadLimits): Batch {
    const channel = this.#channel(name)
    if (after === null) {
      if (!channel) return nothing('0')
      return channel.newest.over ? nothing(`${channel.newest.id}+`) : channel.newest.readOldest(limits)
    }
    const cursor = parsePosition(after)
    if (!channel) return cursor?.epoch === null ? nothing('0') : gapInNothing(after, cursor ? 'epoch' : 'malformed')
    const [oldest = channel.newest] = channel.epochs.values()
    if (!cursor) return oldest.gap('malformed', after)
    if (cursor.epoch === null)
      return channel.hasForgotten ? oldest.gap('trimmed', after) : oldest.read(0, after, limits)
    const epoch = channel.epochs.get(cursor.epoch)
    if (!epoch) return oldest.gap('epoch', after)
    if (cursor.offset < Infinity || !epoch.over) return epoch.read(cursor.offset, after, limits)
    return epochAfter(channel, epoch)?.read(0, after, limits) ?? nothing(after)
  }

  watch(name: string, watcher: Watcher): () => void {
    // A function per watch, so that one watcher can watch twice and stop once.
    const own = (): void => watcher.onAppend()
    const watchers = this.#watchers.get(name) ?? new Set()
    this.#watchers.set(name, watchers.add(own))
    queueMicrotask(() => {
      if (watchers.has(own)) own()
    })
    return () => {
      if (!watchers.delete(own) || watchers.size > 0) return
      this.#watchers.delete(name)
      const channel = this.#channels.get(name)
      if (channel) channel.newest.usedAt = this.#now()
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#channels.clear()
    for (const watchers of this.#watchers.values()) watchers.clear()
    this.#watchers.clear()
    this.#byteShares.clear()
    this.#channelShares.clear()
  }

  /** The channel without its expired events and epochs; undefined if nothing is left of it. */
  #channel(name: string): Channel | undefined {
    if (this.#closed) throw new EventLogError('closed', 'The log is closed: the server is shutting down.')
    const channel = this.#channels.get(name)
    if (!channel) return undefined
    const { newest, epochs, owner } = channel
    const aged = this.#now() - this.#maxAge
    newest.forget(aged)
    for (const epoch of epochs.values()) {
      // Otherwise a cursor at the end of the newest epoch could not be continued.
      if (epoch.usedAt > aged || (epoch === newest && this.#watchers.has(name))) break
      epochs.delete(epoch.id)
      epoch.release()
      channel.hasForgotten = true
    }
    if (epochs.size > 0) return channel
    this.#channels.delete(name)
    this.#channelShares.add(-1, owner)
    return undefined
  }

  #newEpoch(owner: string | undefined): Epoch {
    return new Epoch(this.#newEpochId(), this.#epochLimits, this.#byteShares, this.#now(), owner)
  }

  #begin(name: string, epoch: Epoch, owner: string | undefined): void {
    const channel = this.#channels.get(name)
    if (channel) {
      // A watching subscriber may still be at its end.
      if (this.#watchers.has(name)) channel.newest.usedAt = this.#now()
      channel.newest = epoch
    } else {
      this.#channelShares.add(1, owner)
      this.#channels.set(name, { newest: epoch, epochs: new Map(), hasForgotten: false, owner })
    }
    this.#channels.get(name)?.epochs.set(epoch.id, epoch)
  }

  /** A full ring does not grow, so its channel continues even when the log is full. @throws EventLogError */
  #reserve(channel: Channel | undefined, bytes: number, client: string | undefined): void {
    const channels = channel ? null : this.#channelShares.refusal(1, client)
    if (channels !== null) throw noRoom('channels', channels, this.#channelShares.max)
    const refusal = bytes > 0 ? this.#byteShares.refusal(bytes, client) : null
    if (refusal !== null) throw noRoom('bytes', refusal, this.#byteShares.max)
  }

  /** An end is small and relieves the server, so it has a reserve of its own, and no client's share is checked. @throws EventLogError */
  #reserveForEnd(channel: Channel | undefined, bytes: number): void {
    if (!channel && !this.#channelShares.hasReserve(1)) throw noRoom('channels', 'full', this.#channelShares.max)
    if (!this.#byteShares.hasReserve(bytes)) throw noRoom('bytes', 'full', this.#byteShares.max)
  }

  #wake(name: string): void {
    for (const onAppend of this.#watchers.get(name) ?? []) onAppend()
  }

  #sweep(): void {
    for (const name of this.#channels.keys()) this.#channel(name)
  }
}

function noRoom(kind: 'channels' | 'bytes', refusal: 'full' | 'share', max: number): EventLogError {
  const held =
    refusal === 'full'
      ? `There is no room: the log holds at most ${max} ${kind}`
      : `You hold as many ${kind} as are still free`
  const hint = kind === 'channels' ? 'use a channel that exists' : 'send less'
  return new EventLogError(kind, `${held}: ${hint}, or try again later.`, RETRY_AFTER)
}

function epochAfter({ epochs, newest }: Channel, epoch: Epoch): Epoch | undefined {
  // The common case. A channel that is ended again and again has many epochs to search.
  if (epoch === newest) return undefined
  let isNext = false
  for (const other of epochs.values()) {
    if (isNext) return other
    isNext = other === epoch
  }
  return undefined
}

/** The empty batch of a channel without events, at a position that is not an event's. */
function nothing(position: Position): Batch {
  return { events: [], after: position, top: position, finished: false }
}

function gapInNothing(requested: string, reason: 'epoch' | 'malformed'): Batch {
  return { ...nothing('0'), gap: { reason, requested: requested.slice(0, 100), oldest: null, latest: '0' } }
}
