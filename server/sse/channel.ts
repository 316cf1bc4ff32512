import type { SseEmitter } from './emitter.js'
import { encode } from './encode.js'
import { EventLogError, parsePosition, type Batch, type EventLog, type LoggedEvent, type Position } from './eventLog.js'
import { backoff, type Reading, type Reads, type SnapshotProvider } from './reads.js'

/** The part of an emitter that a channel needs. */
export type Emitter = Pick<
  SseEmitter,
  'ended' | 'writable' | 'write' | 'onDrain' | 'onCompletion' | 'complete' | 'completeWithError'
>

/** Where a subscriber starts. */
export interface Start {
  /** The `Last-Event-ID` that the client sent, untrusted; null for a newcomer. */
  cursor: string | null
  from: 'oldest' | 'now'
  greeting?: string | undefined
  snapshot?: SnapshotProvider | undefined
}

/**
 * - `idle`: waits for an announcement, at the top or because the log failed
 * - `due`: may have events to read at the next tick
 * - `reading`: waits for the log
 * - `stalled`: waits for its socket to drain
 * - `gone`: its emitter has ended
 */
type State = 'idle' | 'due' | 'reading' | 'stalled' | 'gone'

interface Subscriber extends Start {
  readonly emitter: Emitter
  state: State
  /** Equal for subscribers that get the same bytes next. Those that got the same before share one string, which compares quickly. */
  place: string
}

/** The bytes that all subscribers at one cursor get next. */
interface Step {
  bytes: Buffer
  /** Where they are afterwards; null if they need a snapshot. */
  cursor: Position | null
  /** No more events are known. */
  atTop: boolean
  /** No event will ever follow. */
  finished: boolean
}

const NOTHING = Buffer.alloc(0)

export interface ChannelOptions {
  /** Bytes that are read and written at once. */
  batchBytes: number
  /** Milliseconds before a failed read is retried for the first time. */
  retryDelay: number
  /** Called for each failure of the log that is retried. */
  onFailure: (error: unknown) => void
}

/**
 * The subscribers of one channel. Each is a cursor into its log: it gets the events between the cursor and the top as long as its
 * socket keeps up, and continues when the socket drains.
 */
export class Channel {
  readonly #name: string
  readonly #reads: Reads
  readonly #options: ChannelOptions
  readonly #subscribers = new Set<Subscriber>()
  readonly #unwatch: () => void
  /** Some of them may no longer be `due`: those are skipped. */
  #due: Subscriber[] = []
  /** The newest announcement, and the newest one that woke the idle, by the clock of `#reads`. */
  #announced: number
  #heeded: number
  #ticking = false
  #retry: NodeJS.Timeout | undefined
  #failures = 0

  constructor(name: string, log: EventLog, reads: Reads, options: ChannelOptions) {
    this.#name = name
    this.#reads = reads
    this.#options = options
    // A read already in flight may have begun before the watch.
    this.#announced = this.#heeded = reads.announced()
    this.#unwatch = log.watch(name, {
      onAppend: () => this.#announce(),
      onError: (error) => this.#retryLater(error),
    })
  }

  /** Where subscribers wait for the first event of an epoch. */
  get waiting(): Position[] {
    const positions = new Set<Position>()
    for (const { cursor } of this.#subscribers) if (cursor !== null && isBeforeAnEpoch(cursor)) positions.add(cursor)
    return [...positions]
  }

  /** Serves an emitter until it ends or leaves, and calls `onEmpty` if it was the last one. */
  add(emitter: Emitter, start: Start, onEmpty: () => void, signal?: AbortSignal): void {
    const { cursor, from, greeting, snapshot } = start
    const subscriber: Subscriber = { emitter, cursor, from, greeting, snapshot, state: 'due', place: placeOf(start) }
    this.#subscribers.add(subscriber)
    const leave = (): void => {
      if (subscriber.state === 'gone') return
      subscriber.state = 'gone'
      this.#subscribers.delete(subscriber)
      if (this.#subscribers.size > 0) return
      this.#unwatch()
      clearTimeout(this.#retry)
      onEmpty()
    }
    const forget = [
      emitter.onCompletion(leave),
      emitter.onDrain(() => {
        if (subscriber.state === 'stalled') this.#makeDue(subscriber)
      }),
    ]
    if (signal) onAbort(signal, leave, forget)
    this.#makeDue(subscriber)
  }

  #announce(): void {
    this.#announced = this.#reads.announced()
    this.#tick()
  }

  #makeDue(subscriber: Subscriber): void {
    subscriber.state = 'due'
    this.#due.push(subscriber)
    this.#tick()
  }

  /** After the callbacks of this turn of the event loop, so that everything they publish leaves together. */
  #tick(): void {
    if (this.#ticking) return
    this.#ticking = true
    setImmediate(() => {
      this.#ticking = false
      this.#advanceDue()
    })
  }

  /** Reads once for all subscribers at the same place, and sends them the same bytes. */
  #advanceDue(): void {
    const due = this.#due.filter(({ state }) => state === 'due')
    this.#due = []
    if (this.#heeded !== this.#announced) {
      this.#heeded = this.#announced
      for (const subscriber of this.#subscribers) if (subscriber.state === 'idle') due.push(subscriber)
    }
    const groups = new Map<string, Subscriber[]>()
    for (const subscriber of due) {
      subscriber.state = 'reading'
      const group = groups.get(subscriber.place)
      if (group) group.push(subscriber)
      else groups.set(subscriber.place, [subscriber])
    }
    for (const group of groups.values()) void this.#advance(group)
  }

  async #advance(group: readonly Subscriber[]): Promise<void> {
    const [first] = group
    if (!first) return
    let step: Step
    try {
      step = await this.#next(first)
      this.#failures = 0
    } catch (error) {
      this.#failed(group, error)
      return
    }
    const { bytes, cursor, atTop, finished } = step
    const place = placeOf({ ...first, cursor })
    for (const subscriber of group) {
      if (subscriber.state !== 'gone' && subscriber.emitter.writable) {
        subscriber.cursor = cursor
        subscriber.place = place
        deliver(subscriber.emitter, bytes, finished)
      }
      this.#settle(subscriber, atTop)
    }
  }

  async #next(subscriber: Subscriber): Promise<Step> {
    const { cursor, snapshot } = subscriber
    if (cursor === null && snapshot) {
      const { position, frame } = (await this.#reads.snapshot(this.#name, snapshot)).result
      return { bytes: frame, cursor: position, atTop: false, finished: false }
    }
    const reading = await this.#read(cursor)
    const { gap, after, mayLack } = reading.result
    if (!gap && !(snapshot && mayLack)) return this.#step(reading, subscriber)
    if (snapshot) return { bytes: NOTHING, cursor: null, atTop: false, finished: false }
    const reset = encode({ event: 'stream-reset', id: after, data: JSON.stringify(gap) })
    // In one write with the events after it: by the time a slow socket takes the next write, they could be trimmed again.
    const following = await this.#read(after)
    if (following.result.gap) return { bytes: reset, cursor: after, atTop: false, finished: false }
    const step = this.#step(following, subscriber)
    return { ...step, bytes: Buffer.concat([reset, step.bytes]) }
  }

  #read(cursor: string | null): Promise<Reading<Batch>> {
    return this.#reads.events(this.#name, cursor, this.#options.batchBytes)
  }

  #step({ result, began }: Reading<Batch>, { cursor, from, greeting }: Subscriber): Step {
    const { after, top, finished } = result
    const isNew = cursor === null
    const [start, events] = isNew && from === 'now' ? [top, []] : [after, result.events]
    const next = events.at(-1)?.position ?? start
    const frames = framesOf(events)
    return {
      // The greeting carries the starting position, so a newcomer that receives nothing else resumes from there.
      bytes: isNew && greeting !== undefined ? Buffer.concat([encode({ id: start, data: greeting }), frames]) : frames,
      cursor: next,
      atTop: next === top && began >= this.#announced,
      finished,
    }
  }

  #settle(subscriber: Subscriber, atTop: boolean): void {
    if (subscriber.state === 'gone') return
    if (!subscriber.emitter.writable) subscriber.state = 'stalled'
    else if (atTop) subscriber.state = 'idle'
    else this.#makeDue(subscriber)
  }

  /** The streams stay open: heartbeats continue, and so do the streams when the log is back. */
  #failed(group: readonly Subscriber[], error: unknown): void {
    if (error instanceof EventLogError && error.kind === 'closed') {
      for (const { emitter, state } of group) if (state !== 'gone') emitter.completeWithError(error)
      return
    }
    for (const subscriber of group) if (subscriber.state !== 'gone') subscriber.state = 'idle'
    this.#retryLater(error)
  }

  /** Reads again after a while, since an announcement or a read was lost. */
  #retryLater(error: unknown): void {
    this.#options.onFailure(error)
    if (this.#subscribers.size === 0) return
    this.#retry ??= setTimeout(
      () => {
        this.#retry = undefined
        this.#announce()
      },
      backoff(this.#failures++, this.#options.retryDelay),
    ).unref()
  }
}

function isBeforeAnEpoch(cursor: string): boolean {
  const position = parsePosition(cursor)
  return position !== null && (position.epoch === null || position.offset === Infinity)
}

/** A separate function, so that only subscribers with a signal keep this closure. */
function onAbort(signal: AbortSignal, leave: () => void, forget: readonly (() => void)[]): void {
  const left = (): void => {
    leave()
    for (const off of forget) off()
  }
  signal.addEventListener('abort', left, { once: true })
}

/** Cursors may be forged: none may look like another kind of place. */
function placeOf({ cursor, from, greeting, snapshot }: Start): string {
  const kind = snapshot ? 'snapshot' : 'events'
  return cursor === null ? `${kind} from ${from} ${greeting}` : `${kind} after ${cursor}`
}

function framesOf(events: readonly LoggedEvent[]): Buffer {
  const [first, ...more] = events
  return first && more.length === 0 ? first.frame : Buffer.concat(events.map(({ frame }) => frame))
}

/** A failing emitter must not affect the others. */
function deliver(emitter: Emitter, bytes: Buffer, finished: boolean): void {
  try {
    if (bytes.length > 0) emitter.write(bytes)
    if (finished) emitter.complete()
  } catch (error) {
    emitter.completeWithError(error)
  }
}
