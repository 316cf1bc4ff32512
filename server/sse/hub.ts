import { setImmediate as turn } from 'node:timers/promises'
import type { SseEmitter } from './emitter'
import { closeEvent, encode } from './encode'
import type { Batch, ChannelEvent, EventLog, Position } from './eventLog'

/** What the hub needs of an emitter. */
export type Emitter = Pick<
  SseEmitter,
  'writable' | 'write' | 'onDrain' | 'onCompletion' | 'complete' | 'completeWithError'
>

export interface HubOptions {
  /**
   * Bytes that are read and written at once, more only for one larger event: what a stalled client holds beside its cursor.
   * Subscribers at the same cursor hold the same bytes. @default 64 KiB
   */
  batchBytes?: number
}

export interface SubscribeOptions {
  /** The `Last-Event-ID` that the client sent, untrusted and as it is; null or empty for a newcomer. */
  after: string | null
  /** Where a newcomer starts: at the oldest event that is kept, or after the newest. @default 'oldest' */
  from?: 'oldest' | 'now'
  /** The data of a message that is sent at once. A newcomer's has the id of where it starts. @default none */
  greeting?: string
}

/**
 * - `idle`: at the top, waits for an append
 * - `due`: may have something to read, at the next tick
 * - `reading`: waits for the log
 * - `stalled`: waits for its socket to drain
 * - `gone`: its emitter has ended
 */
type State = 'idle' | 'due' | 'reading' | 'stalled' | 'gone'

interface Subscriber {
  readonly emitter: Emitter
  /** Before the first read it is what the client said; the log judges it. */
  cursor: string
  state: State
}

interface Channel {
  readonly name: string
  readonly subscribers: Set<Subscriber>
  readonly stop: () => void
  /** Of those in it, only the ones that are still `due` count. */
  due: Subscriber[]
  /** Counts what the log announced: a read that began before the last announcement may have missed something. */
  appends: number
  /** The count up to which the idle were made due. */
  announced: number
  ticking: boolean
}

/** A producer that awaits is paused after so many events, or half a batch: what a subscriber surely takes in one tick. */
const EVENTS_PER_PAUSE = 32

/**
 * Channels that many can listen to. A channel is a log, a subscriber is a cursor into it: it takes what lies between its
 * cursor and the top while its socket takes it, and goes on when that drains. So replay and live are one path, and a client
 * that does not read costs a position and not a queue.
 *
 * A client that cannot be continued without a loss gets one `stream-reset`, whose id is where it goes on and whose data is
 * the `Gap` as JSON, and then what is new.
 */
export class Hub {
  readonly #log: EventLog
  readonly #channels = new Map<string, Channel>()
  readonly #batchBytes: number
  /** What was published since the last pause: 1 is as much as there may be. */
  #unpaused = 0

  constructor(log: EventLog, { batchBytes = 64 * 1_024 }: HubOptions = {}) {
    this.#log = log
    this.#batchBytes = batchBytes
  }

  /** Channels that someone listens to. */
  get size(): number {
    return this.#channels.size
  }

  /**
   * Asked before a stream is opened, while an answer can still be chosen: `finished` is a client that has seen the end of
   * an epoch that is over, and 204 is what keeps it from coming back.
   *
   * @throws EventLogError `channels`, `bytes`: answer 503. After this, `subscribe` finds room.
   */
  async resume(name: string, after: string | null): Promise<'open' | 'finished'> {
    const { finished } = await this.#log.read(name, after || null, 0)
    return finished ? 'finished' : 'open'
  }

  /** Adds an emitter to a channel until it ends. A failing log ends it with that error; nothing is thrown. */
  async subscribe(
    name: string,
    emitter: Emitter,
    { after, from = 'oldest', greeting }: SubscribeOptions,
  ): Promise<void> {
    const channel = this.#channels.get(name) ?? this.#open(name)
    const subscriber: Subscriber = { emitter, cursor: after ?? '', state: 'reading' }
    channel.subscribers.add(subscriber)
    emitter.onCompletion(() => this.#leave(channel, subscriber))
    emitter.onDrain(() => {
      if (subscriber.state === 'stalled') this.#makeDue(channel, subscriber)
    })
    try {
      if (!after) {
        const start = await this.#log.read(name, null, 0)
        subscriber.cursor = from === 'now' ? start.top : start.after
      }
      // One who resumes keeps its id, which may be anything, until there is an event.
      if (greeting !== undefined)
        emitter.write(encode(after ? { data: greeting } : { id: subscriber.cursor, data: greeting }))
      this.#makeDue(channel, subscriber)
    } catch (error) {
      emitter.completeWithError(error)
    }
  }

  /**
   * Appends an event, and wakes the channel's subscribers once for all that is published in one tick.
   *
   * A producer that awaits is paused now and then, for the sockets to take what it made. One that does not must not publish
   * more in one tick than a channel keeps: that would overtake every subscriber.
   *
   * @throws EventLogError, SseEncodeError
   */
  async publish(name: string, event: ChannelEvent): Promise<Position> {
    const position = await this.#log.append(name, event)
    this.#unpaused += Math.max(1 / EVENTS_PER_PAUSE, (2 * (event.data?.length ?? 0)) / this.#batchBytes)
    if (this.#unpaused >= 1) {
      this.#unpaused = 0
      await turn()
    }
    return position
  }

  /**
   * Ends the channel's epoch: every subscriber gets the rest and `close`, and its emitter completes. The next subscriber or
   * event begins a new epoch. Null when there was nothing to end.
   */
  async over(name: string): Promise<Position | null> {
    return this.#log.end(name, closeEvent)
  }

  #open(name: string): Channel {
    const stop = this.#log.watch(name, () => {
      channel.appends += 1
      this.#tick(channel)
    })
    const channel: Channel = {
      name,
      subscribers: new Set(),
      stop,
      due: [],
      appends: 0,
      announced: 0,
      ticking: false,
    }
    this.#channels.set(name, channel)
    return channel
  }

  #leave(channel: Channel, subscriber: Subscriber): void {
    subscriber.state = 'gone'
    channel.subscribers.delete(subscriber)
    if (channel.subscribers.size > 0) return
    this.#channels.delete(channel.name)
    channel.stop()
  }

  #makeDue(channel: Channel, subscriber: Subscriber): void {
    if (subscriber.state === 'gone') return
    subscriber.state = 'due'
    channel.due.push(subscriber)
    this.#tick(channel)
  }

  /** After the callbacks of this turn of the event loop, so that all that they publish leaves together. */
  #tick(channel: Channel): void {
    if (channel.ticking) return
    channel.ticking = true
    setImmediate(() => {
      channel.ticking = false
      this.#advanceDue(channel)
    })
  }

  /** Those at the same cursor read once, and write the same bytes. */
  #advanceDue(channel: Channel): void {
    const due = channel.due.filter(({ state }) => state === 'due')
    channel.due = []
    if (channel.announced !== channel.appends) {
      channel.announced = channel.appends
      for (const subscriber of channel.subscribers) if (subscriber.state === 'idle') due.push(subscriber)
    }
    const groups = new Map<string, Subscriber[]>()
    for (const subscriber of due) {
      subscriber.state = 'reading'
      const group = groups.get(subscriber.cursor)
      if (group) group.push(subscriber)
      else groups.set(subscriber.cursor, [subscriber])
    }
    for (const [cursor, group] of groups) void this.#advance(channel, cursor, group)
  }

  async #advance(channel: Channel, cursor: string, group: Subscriber[]): Promise<void> {
    const { appends } = channel
    let batch: Batch
    try {
      batch = await this.#log.read(channel.name, cursor, this.#batchBytes)
    } catch (error) {
      for (const { emitter } of group) emitter.completeWithError(error)
      return
    }
    const bytes = bytesOf(batch)
    const next = batch.events.at(-1)?.position ?? batch.after
    const atTop = next === batch.top && appends === channel.appends
    for (const subscriber of group) {
      if (subscriber.emitter.writable) {
        subscriber.cursor = next
        deliver(subscriber.emitter, bytes, batch.finished)
      }
      this.#settle(channel, subscriber, atTop)
    }
  }

  #settle(channel: Channel, subscriber: Subscriber, atTop: boolean): void {
    if (subscriber.state === 'gone') return
    if (!subscriber.emitter.writable) subscriber.state = 'stalled'
    else if (atTop) subscriber.state = 'idle'
    else this.#makeDue(channel, subscriber)
  }
}

function bytesOf({ events, gap, after }: Batch): Buffer {
  if (gap) return encode({ event: 'stream-reset', id: after, data: JSON.stringify(gap) })
  const [first, ...more] = events
  return first && more.length === 0 ? first.frame : Buffer.concat(events.map(({ frame }) => frame))
}

/** What one emitter does with it is no concern of the others. */
function deliver(emitter: Emitter, bytes: Buffer, finished: boolean): void {
  try {
    if (bytes.length > 0) emitter.write(bytes)
    if (finished) emitter.complete()
  } catch (error) {
    emitter.completeWithError(error)
  }
}
