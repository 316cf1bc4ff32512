import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { Channel, type ChannelOptions, type Emitter } from './channel.js'
import { closeEvent, encode } from './encode.js'
import { EventLogError, type AppendOptions, type ChannelEvent, type EventLog, type Position } from './eventLog.js'
import { backoff, Reads, withDeadline, type SnapshotProvider } from './reads.js'

export interface HubOptions {
  /**
   * Bytes that are read and written at once, exceeded only by a single larger event: what a stalled client holds besides its
   * cursor. Subscribers at the same cursor share these bytes. @default 64 KiB
   */
  batchBytes?: number
  /** Milliseconds that the log, or a snapshot, may take to answer. @default 5_000 */
  deadline?: number
  /** Milliseconds before a failed call is retried; doubles with each failure, up to 50 times as long. @default 100 */
  retryDelay?: number
  /** Called for each failure of the log that is retried. @default console.error, at most every ten seconds */
  onFailure?: (error: unknown) => void
}

export interface SubscribeOptions {
  /** The `Last-Event-ID` that the client sent, untrusted; null or empty for a newcomer. */
  after: string | null
  /** Where a newcomer starts: at the oldest stored event, or after the newest. @default 'oldest' */
  from?: 'oldest' | 'now'
  /** The data of a message that opens the stream. For a newcomer, its id is the position at which it starts. @default none */
  greeting?: string
  /**
   * Provides the channel's state. Newcomers, and subscribers who missed events, then get one `snapshot` event and the events
   * after it, instead of a replay or a `stream-reset`. A change in the snapshot may arrive as an event too.
   */
  snapshot?: SnapshotProvider
  /** Leaves the channel when aborted. The stream stays open for other events. */
  signal?: AbortSignal
}

/** Counters of this process, since the hub was created. */
export interface HubCounts {
  published: number
  publishFailures: number
  /** Failures of the log while subscribers waited for it. Each is retried. */
  logFailures: number
}

/** The events published in one turn of the event loop. */
interface Run {
  events: number
  bytes: number
  end: Promise<void>
}

/** Attempts to append an event that has a key. */
const ATTEMPTS = 3

/** The most bytes that a frame has besides its text: an id, field names, line ends. */
const FRAME_OVERHEAD = 80

/** Milliseconds between two failures that are logged. */
const REPORT_INTERVAL = 10_000

/**
 * Channels with any number of subscribers. A channel is a log, and a subscriber is a cursor into it. Replay and live events therefore
 * take one path, and a client that does not read costs a position instead of a queue.
 *
 * A client that cannot resume without a loss gets one `stream-reset`, whose data is the `Gap` as JSON, then all stored events, then
 * new ones. While the log fails, streams stay open.
 */
export class Hub {
  readonly #log: EventLog
  readonly #reads: Reads
  readonly #channels = new Map<string, Channel>()
  readonly #options: ChannelOptions
  readonly #deadline: number
  readonly #counts: HubCounts = { published: 0, publishFailures: 0, logFailures: 0 }
  #run: Run | null = null

  constructor(log: EventLog, options: HubOptions = {}) {
    const { batchBytes = 64 * 1_024, deadline = 5_000, retryDelay = 100, onFailure = reporter() } = options
    this.#log = log
    this.#reads = new Reads(log, deadline)
    this.#options = {
      batchBytes,
      retryDelay,
      onFailure: (error) => {
        this.#counts.logFailures += 1
        onFailure(error)
      },
    }
    this.#deadline = deadline
  }

  /** Channels with subscribers. */
  get size(): number {
    return this.#channels.size
  }

  get counts(): Readonly<HubCounts> {
    return this.#counts
  }

  /**
   * Subscribes an emitter to a channel until it ends, or leaves by `signal`.
   *
   * `open` creates the emitter. It is not called if the client has already seen the end of its epoch: the result is then
   * `finished`, and the answer should be 204, which stops the client from reconnecting.
   *
   * @throws only what `open` throws
   */
  async subscribe(
    name: string,
    open: () => Emitter,
    { after, from = 'oldest', greeting, snapshot, signal }: SubscribeOptions,
  ): Promise<'open' | 'finished'> {
    if (after && (await this.#isFinished(name, after))) return 'finished'
    const emitter = open()
    // For a HEAD request, for example, or a client that has left.
    if (emitter.ended || signal?.aborted) return 'open'
    // Only a newcomer's replay gives the greeting an id. A client that resumes keeps its own, and a snapshot has one.
    if (greeting !== undefined && (after || snapshot)) emitter.write(encode({ data: greeting }))
    // `0` is before the first event in any life of the log, so changes since the client's snapshot may be missing from this one.
    const cursor = snapshot && after === '0' ? null : after || null
    const start = { cursor, from, greeting: snapshot ? undefined : greeting, snapshot }
    const channel = this.#channels.get(name) ?? new Channel(name, this.#log, this.#reads, this.#options)
    this.#channels.set(name, channel)
    channel.add(emitter, start, () => this.#channels.delete(name), signal)
    return 'open'
  }

  /**
   * Appends an event, and wakes the channel's subscribers once for all events published in one turn of the event loop.
   *
   * A producer that awaits this never overtakes a subscriber whose socket keeps up: it is paused for a turn each time it has
   * published half of what a subscriber reads at once, or of what a channel keeps.
   *
   * With a key, the append is retried while the log is `unavailable`. Without one, it may have happened even if this throws.
   *
   * @throws EventLogError, SseEncodeError
   */
  async publish(name: string, event: ChannelEvent, options: AppendOptions = {}): Promise<Position> {
    const position = await this.#append(name, event, options)
    this.#counts.published += 1
    const { events, bytes } = this.#log.retention
    // After the append: the subscribers' tick comes before the end of the run.
    const run = (this.#run ??= this.#newRun())
    run.events += 1
    run.bytes += bytesAtMost(event)
    if (run.events >= events / 2 || run.bytes >= Math.min(bytes, this.#options.batchBytes) / 2) await run.end
    return position
  }

  /**
   * Ends the channel's epoch: every subscriber gets the remaining events and `close`, and its emitter completes. The next event
   * begins a new epoch. Null if there was nothing to end: no event since the last end, and no subscriber who waits for one.
   *
   * @throws EventLogError
   */
  async over(name: string, { client }: Pick<AppendOptions, 'client'> = {}): Promise<Position | null> {
    const waiting = this.#channels.get(name)?.waiting ?? []
    const options = { waiting, ...(client === undefined ? {} : { client }) }
    return withDeadline(() => this.#log.end(name, closeEvent, options), this.#deadline)
  }

  async #isFinished(name: string, after: string): Promise<boolean> {
    try {
      return (await this.#reads.events(name, after, 0)).result.finished
    } catch {
      // The stream is opened anyway, and ends properly when the log is back.
      return false
    }
  }

  async #append(name: string, event: ChannelEvent, options: AppendOptions): Promise<Position> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await withDeadline(() => this.#log.append(name, event, options), this.#deadline)
      } catch (error) {
        const isTransient = error instanceof EventLogError && error.kind === 'unavailable'
        if (!isTransient || options.key === undefined || attempt === ATTEMPTS) {
          this.#counts.publishFailures += 1
          throw error
        }
        await sleep(backoff(attempt, this.#options.retryDelay))
      }
    }
  }

  #newRun(): Run {
    const end = async (): Promise<void> => {
      await turn()
      // A large last event did not fit into the same read.
      if (run.bytes > this.#options.batchBytes) await turn()
      this.#run = null
    }
    const run = { events: 0, bytes: 0, end: end() }
    return run
  }
}

/** An upper bound for the length of an event's frame. On the wire, every line of data begins with `data: `. */
function bytesAtMost({ event = '', data = '', comment = '' }: ChannelEvent): number {
  const text = data + comment
  const lines = /[\r\n]/.test(text) ? text.split(/[\r\n]/).length : 1
  return FRAME_OVERHEAD + Buffer.byteLength(event) + Buffer.byteLength(text) + 6 * (lines - 1)
}

function reporter(): (error: unknown) => void {
  let reportedAt = -Infinity
  return (error) => {
    if (performance.now() < reportedAt + REPORT_INTERVAL) return
    reportedAt = performance.now()
    console.error('The event log fails, and is tried again:', error)
  }
}
