import { encode } from './encode.js'
import { EventLogError, type Awaitable, type Batch, type EventLog, type Position } from './eventLog.js'

/** The state of a channel as text, and the position of an event that is in it: all that follows may be new. */
export interface PlacedSnapshot {
  data: string
  position: Position
}

/**
 * The state of a channel as text. Code that changes it must change the state first, then publish. It is no older than the call, or
 * says how old it is.
 */
export type SnapshotProvider = () => Awaitable<string | PlacedSnapshot>

/** A frame with the state of a channel, and the position after which to continue. */
export interface Snapshot {
  position: Position
  frame: Buffer
}

/** A result, and when its reading began by the clock of `Reads`. */
export interface Reading<T> {
  result: T
  began: number
}

/**
 * Reads a log that may be slow or gone: each call has a deadline, and equal calls share one that is in flight.
 */
export class Reads {
  readonly #log: EventLog
  readonly #deadline: number
  readonly #inFlight = new Map<string, Promise<Reading<unknown>>>()
  #clock = 0

  constructor(log: EventLog, deadline: number) {
    this.#log = log
    this.#deadline = deadline
  }

  /** Counts announcements: a read that began before an announcement may lack the announced event. */
  announced(): number {
    return (this.#clock += 1)
  }

  /** @throws EventLogError `unavailable` after the deadline, and whatever the log rejects with. */
  events(channel: string, after: string | null, maxBytes: number): Promise<Reading<Batch>> {
    return this.#shared(['events', channel, after, maxBytes], () => this.#log.read(channel, after, { maxBytes }))
  }

  /** Concurrent calls for one channel must pass the same provider. */
  snapshot(channel: string, provide: SnapshotProvider): Promise<Reading<Snapshot>> {
    return this.#shared(['snapshot', channel], async () => {
      // In this order: an event appended in between is in both, instead of in neither.
      const { top } = await this.#log.read(channel, null, { maxBytes: 0 })
      const provided = await provide()
      const { data, position } = typeof provided === 'string' ? { data: provided, position: top } : provided
      if (position !== top) await this.#assertReadable(channel, position)
      return { position, frame: encode({ event: 'snapshot', id: position, data }) }
    })
  }

  /** Sent, a snapshot that cannot be continued would be asked for again at once. */
  async #assertReadable(channel: string, position: Position): Promise<void> {
    const { gap, mayLack } = await this.#log.read(channel, position, { maxBytes: 0 })
    if (gap || mayLack) throw new EventLogError('unavailable', 'The snapshot is too old to be continued: try again.', 1)
  }

  #shared<T>(question: readonly unknown[], ask: () => Awaitable<T>): Promise<Reading<T>> {
    const key = JSON.stringify(question)
    const inFlight = this.#inFlight.get(key) as Promise<Reading<T>> | undefined
    if (inFlight) return inFlight
    const began = this.#clock
    const reading = withDeadline(ask, this.#deadline)
      .then((result) => ({ result, began }))
      .finally(() => this.#inFlight.delete(key))
    this.#inFlight.set(key, reading)
    return reading
  }
}

/** Settles like the call, but within `deadline` milliseconds; a later result is dropped. @throws EventLogError `unavailable` */
export async function withDeadline<T>(call: () => Awaitable<T>, deadline: number): Promise<T> {
  const result = call()
  if (!(result instanceof Promise)) return result
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new EventLogError('unavailable', `The log did not answer within ${deadline} ms: try again.`, 5))
    }, deadline).unref()
  })
  try {
    return await Promise.race([result, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Milliseconds before an attempt, counted from 0: doubles each time, up to 50 times the first; half of it is random. */
export function backoff(attempt: number, first: number): number {
  const delay = first * Math.min(2 ** attempt, 50)
  return delay * (0.5 + Math.random() / 2)
}
