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
 * Bytes are bytes of memory: an event counts some 512 beside its frame, an epoch some 1,024 beside its events.
 *
 * Where appends name a client, one client may hold as many bytes, and may have begun as many channels, as are still free.
 */
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
  /** What the next epoch is called: never the same twice, also after a restart. @default 12 random characters */
  newEpochId?: () => string
}

/** What every log has unless told otherwise. */
export const memoryLogDefaults: Required<Omit<MemoryEventLogOptions, 'now' | 'newEpochId'>> = {
  maxEvents: 1_000,
  maxBytes: 4 * 2 ** 20,
  maxAge: 600_000,
  maxFrameBytes: 2 ** 19,
  maxChannels: 10_000,
  maxTotalBytes: 256 * 2 ** 20,
}

interface Channel {
  /** The living epoch, or the one that ended last. */
  newest: Epoch
  /** By id, in the order in which they began. */
  readonly epochs: Map<string, Epoch>
  /** An epoch of it is forgotten: `0` is before something that is no longer known. */
  hasForgotten: boolean
  /** The client that began it. */
  readonly owner: string | undefined
}

/** Seconds. Room comes with age, so that nothing better is known. */
const RETRY_AFTER = 30

/** The log of one process, in its memory. Its results come at once. */
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
    // What exceeds the whole log will never fit, however long its client waits.
    const fitting = maxTotalBytes - EPOCH_COST - EVENT_COST
    this.#epochLimits = { maxEvents, maxBytes, maxFrameBytes: Math.min(maxFrameBytes, fitting) }
    this.#maxAge = maxAge
    this.#channelShares = new Shares(maxChannels)
    this.#byteShares = new Shares(maxTotalBytes)
    this.#now = options.now ?? (() => performance.now())
    this.#newEpochId = options.newEpochId ?? (() => randomBytes(9).toString('base64url'))
    // A channel in use is rid of what is too old by its use; this is for those that nobody uses.
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(maxAge, 60_000)).unref()
  }

  /** Channels that are kept. */
  get size(): number {
    return this.#channels.size
  }

  /** Bytes that are kept. */
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
    // Its own function, so that one watcher can watch twice and stop once.
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

  /** A channel, rid of what is too old; undefined when nothing is left of it. */
  #channel(name: string): Channel | undefined {
    if (this.#closed) throw new EventLogError('closed', 'The log is closed: the server is shutting down.')
    const channel = this.#channels.get(name)
    if (!channel) return undefined
    const { newest, epochs, owner } = channel
    const aged = this.#now() - this.#maxAge
    newest.forget(aged)
    for (const epoch of epochs.values()) {
      // Whoever stands at the end of the newest epoch would otherwise not know what follows it.
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
      // Whoever watches may still stand at its end.
      if (this.#watchers.has(name)) channel.newest.usedAt = this.#now()
      channel.newest = epoch
    } else {
      this.#channelShares.add(1, owner)
      this.#channels.set(name, { newest: epoch, epochs: new Map(), hasForgotten: false, owner })
    }
    this.#channels.get(name)?.epochs.set(epoch.id, epoch)
  }

  /** A ring that is full does not grow: its channel goes on when the log is full. @throws EventLogError */
  #reserve(channel: Channel | undefined, bytes: number, client: string | undefined): void {
    const channels = channel ? null : this.#channelShares.refusal(1, client)
    if (channels !== null) throw noRoom('channels', channels, this.#channelShares.max)
    const refusal = bytes > 0 ? this.#byteShares.refusal(bytes, client) : null
    if (refusal !== null) throw noRoom('bytes', refusal, this.#byteShares.max)
  }

  /** An end is small and gets people off the server, so it has a reserve of its own and nobody is too heavy for it. @throws EventLogError */
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
  // Where nearly all who ask stand. A channel that is ended again and again has many epochs.
  if (epoch === newest) return undefined
  let isNext = false
  for (const other of epochs.values()) {
    if (isNext) return other
    isNext = other === epoch
  }
  return undefined
}

/** What is read of a channel that has nothing, at a position that is none of an event. */
function nothing(position: Position): Batch {
  return { events: [], after: position, top: position, finished: false }
}

function gapInNothing(requested: string, reason: 'epoch' | 'malformed'): Batch {
  return { ...nothing('0'), gap: { reason, requested: requested.slice(0, 100), oldest: null, latest: '0' } }
}
