import { randomBytes } from 'node:crypto'
import { encode } from '../sse/encode'
import { EPOCH_COST, EVENT_COST, surelyKept } from '../sse/epoch'
import {
  EventLogError,
  parsePosition,
  type AppendOptions,
  type Batch,
  type ChannelEvent,
  type EndOptions,
  type EventLog,
  type GapReason,
  type ParsedPosition,
  type Position,
  type ReadLimits,
  type Watcher,
} from '../sse/eventLog'
import { Connection } from './connection'
import * as scripts from './scripts'
import { Watches, type Newest } from './watches'

export interface RedisEventLogOptions {
  /** `redis://` or, with TLS, `rediss://`, user and password included. Redis 7.0 or later. */
  url: string
  /** What all keys begin with. @default 'sse:' */
  prefix?: string
  /** Events that an epoch keeps: the newest. @default 1_000 */
  maxEvents?: number
  /** Bytes that an epoch keeps: the newest. An event counts 512 beside its frame. @default 4 MiB */
  maxBytes?: number
  /** Milliseconds that an event is kept. That a channel was there is known for twice as long. @default 600_000, 10 minutes */
  maxAge?: number
  /** Bytes of one frame. @default 512 KiB */
  maxFrameBytes?: number
  /** Milliseconds after which a watched channel is looked at, in case an announcement was lost. @default 10_000 */
  lookInterval?: number
  /** Milliseconds without an answer after which the connection is closed and opened again. @default 5_000 */
  answerTimeout?: number
  /** Redis was lost, for this reason, or is back: null. @default console.error */
  onConnection?: (lost: Error | null) => void
}

/** Takes the place of a position in a frame, which is cut there. Nobody can know it. */
const MARK = randomBytes(15).toString('base64url')

/**
 * A log that any number of processes share, on Redis Streams.
 *
 * A process reads a channel once for all of its subscribers: it keeps what was announced for a while, and asks Redis for whoever
 * is further behind. Room is what Redis has, so give it a `maxmemory`, the policy `noeviction`, and AOF. With `appendfsync always`
 * what was acknowledged survives a crash of Redis. Otherwise a crash may lose the newest events, and whoever has seen one of them is
 * told of the gap: no position is given twice.
 */
export class RedisEventLog implements EventLog {
  readonly retention: EventLog['retention']
  /** The one connection of this process, for what else it keeps in Redis. */
  readonly connection: Connection
  readonly #watches: Watches
  readonly #prefix: string
  readonly #maxFrameBytes: number
  readonly #maxAge: string
  /** Events, bytes and milliseconds that an epoch keeps. */
  readonly #limits: readonly string[]

  constructor(options: RedisEventLogOptions) {
    const { maxEvents = 1_000, maxBytes = 4 * 2 ** 20, maxAge = 600_000, maxFrameBytes = 2 ** 19 } = options
    const { url, prefix = 'sse:', lookInterval = 10_000, answerTimeout = 5_000, onConnection = report } = options
    this.retention = surelyKept(maxEvents, maxBytes)
    this.#prefix = prefix
    this.#maxFrameBytes = Math.min(maxFrameBytes, maxBytes - EPOCH_COST - EVENT_COST)
    this.#maxAge = String(maxAge)
    this.#limits = [maxEvents, maxBytes, maxAge].map(String)
    let wasLost = false
    this.connection = new Connection({
      url,
      answerTimeout,
      onConnect: () => {
        this.#watches.connected()
        if (wasLost) onConnection(null)
      },
      onDisconnect: (error) => {
        wasLost = true
        this.#watches.disconnected(error)
        onConnection(error)
      },
    })
    const announcer = {
      subscribe: (channel: string, listener: (message: Buffer) => void) =>
        this.connection.subscribe(this.#key(channel), listener),
      unsubscribe: (channel: string, listener: (message: Buffer) => void) =>
        this.connection.unsubscribe(this.#key(channel), listener),
      touch: (channel: string) => this.#touch(channel),
    }
    // Often enough that no channel that is watched is forgotten.
    this.#watches = new Watches(announcer, Math.min(lookInterval, maxAge / 2))
  }

  /** Redis is there, as far as is known: one that hangs is noticed after `answerTimeout`. */
  get isReady(): boolean {
    return this.connection.isReady
  }

  async append(channel: string, event: ChannelEvent, { key = '' }: AppendOptions = {}): Promise<Position> {
    const position = await this.#append(channel, event, { key })
    return position ?? '0'
  }

  async end(channel: string, last: ChannelEvent, { waiting = [] }: EndOptions = {}): Promise<Position | null> {
    return this.#append(channel, last, { isLast: true, waiting: waiting.map((position) => ` ${position} `).join('') })
  }

  async read(channel: string, after: string | null, { maxBytes }: ReadLimits): Promise<Batch> {
    const cursor = after === null ? null : parsePosition(after)
    if (after !== null && cursor && cursor.epoch !== null) {
      const following = this.#watches.tail(channel)?.after(cursor.epoch, cursor.offset, maxBytes)
      if (following) {
        const { events, top, isOver } = following
        const finished = isOver && cursor.offset + events.length === top
        return { events, after, top: `${cursor.epoch}:${top}`, finished }
      }
    }
    const [epoch, offset] = argumentsFor(after, cursor)
    const reply = await this.connection.run(scripts.read, this.#key(channel), [epoch, offset, String(maxBytes)])
    return batchOf(reply as ReadReply | null, after, cursor)
  }

  watch(channel: string, watcher: Watcher): () => void {
    return this.#watches.watch(channel, watcher)
  }

  close(): void {
    this.#watches.close()
    this.connection.close()
  }

  async #append(
    channel: string,
    event: ChannelEvent,
    { key = '', isLast = false, waiting = '' }: { key?: string; isLast?: boolean; waiting?: string },
  ): Promise<Position | null> {
    const encoded = encode({ ...event, id: MARK })
    const size = encoded.length + key.length
    if (size > this.#maxFrameBytes)
      throw new EventLogError(
        'oversized',
        `An event of ${size} bytes exceeds the limit, ${this.#maxFrameBytes}: send less at once.`,
      )
    const cut = encoded.indexOf(MARK)
    const [head, tail] = [encoded.subarray(0, cut), encoded.subarray(cut + MARK.length)]
    const newEpoch = randomBytes(9).toString('base64url')
    const isSubscribed = this.#watches.tail(channel) !== undefined
    const flags = [isLast ? '1' : '0', waiting, isSubscribed ? '1' : '0']
    const args = [head, tail, key, newEpoch, ...flags, ...this.#limits]
    const reply = await this.connection.run(scripts.append, this.#key(channel), args)
    return reply === null ? null : (reply as Buffer[]).join(':')
  }

  async #touch(channel: string): Promise<Newest | null> {
    const reply = await this.connection.run(scripts.touch, this.#key(channel), [this.#maxAge])
    if (reply === null) return null
    const [epoch, top, over] = reply as [Buffer, Buffer, number]
    return { epoch: String(epoch), top: Number(top), isOver: over === 1 }
  }

  /** With the name as the hash tag, all keys of a channel are on one node of a cluster. */
  #key(channel: string): string {
    return `${this.#prefix}{${encodeURIComponent(channel)}}`
  }
}

/** What `scripts.read` returns: the position after the end of an epoch, or what was read. */
type ReadReply =
  | [epoch: Buffer]
  | [
      epoch: Buffer,
      after: Buffer,
      top: Buffer,
      oldest: Buffer,
      over: number,
      gap: Buffer,
      frames: Buffer[],
      latest: Buffer,
    ]

function argumentsFor(after: string | null, cursor: ParsedPosition | null): [epoch: string, offset: string] {
  if (after === null) return ['', 'new']
  if (!cursor) return ['', 'malformed']
  if (cursor.epoch === null) return ['', '0']
  return [cursor.epoch, cursor.offset === Infinity ? '+' : String(cursor.offset)]
}

function batchOf(reply: ReadReply | null, cursor: string | null, parsed: ParsedPosition | null): Batch {
  const requested = (cursor ?? '').slice(0, 100)
  if (reply === null) {
    const nothing = { events: [], after: '0', top: '0', finished: false }
    if (cursor === null || parsed?.epoch === null) return nothing
    return { ...nothing, gap: { reason: parsed ? 'epoch' : 'malformed', requested, oldest: null, latest: '0' } }
  }
  const epoch = String(reply[0])
  if (reply.length === 1) return { events: [], after: `${epoch}+`, top: `${epoch}+`, finished: false }

  const [, ...rest] = reply
  const [start, newest, oldest] = rest.slice(0, 3).map(Number) as [number, number, number]
  const [isOver, reason, frames] = [rest[3] === 1, String(rest[4]), rest[5]]
  const position = (offset: number): Position => `${epoch}:${offset}`
  const latest = String(rest[6]) || position(newest)
  const events = frames.map((frame, n) => ({ position: position(start + 1 + n), frame }))
  const batch: Batch = {
    events,
    after: cursor === null || reason !== '' ? position(start) : cursor,
    top: latest,
    finished: isOver && reason === '' && start + events.length === newest,
  }
  // In an epoch that was cut, or after it.
  const isContinued = parsed?.epoch && parsed.offset < Infinity && parsed.epoch !== epoch
  if (reason === '') return isContinued || latest !== position(newest) ? { ...batch, mayLack: true } : batch
  const kept = oldest <= newest ? position(oldest) : null
  return { ...batch, gap: { reason: reason as GapReason, requested, oldest: kept, latest } }
}

function report(lost: Error | null): void {
  if (lost) console.error(`Redis is away, and is tried again for as long as it takes: ${lost.message || lost.name}`)
  else console.error('Redis is back.')
}
