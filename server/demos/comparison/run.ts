import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Request, Response } from 'express'
import {
  TECHNIQUES,
  type ComparisonEvent,
  type Technique,
  type TechniqueFigures,
} from '../../../shared/demos/comparison'
import { SseEmitterError } from '../../sse/emitter'
import type { Bytes, Meter } from './meter'

/** How much a run keeps: 1,000 events are 10 s at the highest rate. */
const MAX_EVENTS = 1_000
const MAX_BYTES = 2 ** 21

/** Milliseconds of missed events that a late source catches up on. */
const CATCH_UP = 1_000

export interface RunSettings {
  /** Milliseconds between two events. */
  interval: number
  /** Of the payload. */
  bytes: number
}

/** An event and its text, which is the same for every technique. */
export interface KeptEvent {
  n: number
  time: number
  text: string
}

/** One page's source of events. It notifies its listeners, keeps its newest events, and counts the cost of each technique. */
export class Run {
  readonly figures: Record<Technique, TechniqueFigures>
  /** Aborted when the run has ended. */
  readonly signal: AbortSignal
  /** The number of the newest event. */
  newest = 0
  #settings: RunSettings
  readonly #meter: Meter
  readonly #abort = new AbortController()
  readonly #listeners = new Set<() => void>()
  readonly #sockets = new Set<Socket>()
  #kept: KeptEvent[] = []
  #keptBytes = 0
  #timer: NodeJS.Timeout | undefined
  #expiry: NodeJS.Timeout
  #open = 0

  /** `idle`: milliseconds until it ends after its last use. */
  constructor(meter: Meter, settings: RunSettings, idle: number) {
    this.#meter = meter
    this.#settings = settings
    this.signal = this.#abort.signal
    this.figures = Object.fromEntries(TECHNIQUES.map((technique) => [technique, none()])) as Record<
      Technique,
      TechniqueFigures
    >
    this.#expiry = setTimeout(() => {
      if (this.#open > 0) this.touch()
      else this.end()
    }, idle).unref()
    this.change(settings)
  }

  change(settings: RunSettings): void {
    this.#settings = settings
    clearTimeout(this.#timer)
    this.#tick(clock() + settings.interval)
  }

  /** Marks it as used, which postpones its end. */
  touch(): void {
    if (!this.signal.aborted) this.#expiry.refresh()
  }

  /** The stored events after number `n`. */
  after(n: number): readonly KeptEvent[] {
    const oldest = this.newest - this.#kept.length + 1
    return this.#kept.slice(Math.max(0, n + 1 - oldest))
  }

  /** Calls back after each event and at the end. @returns a function that stops it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Counts a request: until its response is closed, its connection's bytes count for this technique, and the run is in use. */
  serve(technique: Technique, req: Request, res: Response): void {
    if (res.socket === null)
      throw new SseEmitterError('pipelined', 'A poll needs a connection of its own: do not pipeline requests.')
    this.figures[technique].requests++
    this.connect(technique, req.socket)
    this.#open++
    res.once('close', () => {
      this.#open--
      this.touch()
    })
  }

  /** From now on, this connection's bytes count for this technique, and `cut` cuts it. */
  connect(technique: Technique, socket: Socket): void {
    this.#meter.assign(socket, this.figures[technique])
    for (const known of this.#sockets) if (known.destroyed) this.#sockets.delete(known)
    this.#sockets.add(socket)
  }

  /** This connection's bytes are no longer counted. */
  disconnect(socket: Socket): void {
    this.#meter.release(socket)
  }

  /** Counts the events that a response or message delivered. */
  sent(technique: Technique, events: readonly KeptEvent[]): void {
    const figures = this.figures[technique]
    figures.events += events.length
    for (const { text } of events) figures.eventBytes += text.length
  }

  /** Destroys all connections that last served a technique, except `spared`, which carries the response. @returns how many. */
  cut(spared: Socket): number {
    const own = new Set<Bytes | undefined>(Object.values(this.figures))
    let cut = 0
    for (const socket of this.#sockets) {
      if (socket === spared || socket.destroyed || !own.has(this.#meter.last(socket))) continue
      socket.destroy()
      cut++
    }
    return cut
  }

  end(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#expiry)
    this.#abort.abort()
    for (const listener of [...this.#listeners]) listener()
    this.#listeners.clear()
    this.#kept = []
  }

  /** A busy server catches up, to keep the requested rate, but by no more than a second. */
  #tick(due: number): void {
    this.#timer = setTimeout(() => {
      this.#publish()
      this.#tick(Math.max(due + this.#settings.interval, clock() - CATCH_UP))
    }, due - clock()).unref()
  }

  #publish(): void {
    const { n, time, payload }: ComparisonEvent = {
      n: ++this.newest,
      time: clock(),
      payload: 'x'.repeat(this.#settings.bytes),
    }
    const text = JSON.stringify({ n, time, payload })
    this.#kept.push({ n, time, text })
    this.#keptBytes += text.length
    while (this.#kept.length > MAX_EVENTS || this.#keptBytes > MAX_BYTES)
      this.#keptBytes -= this.#kept.shift()?.text.length ?? 0
    for (const listener of [...this.#listeners]) listener()
  }
}

/** The server's clock: milliseconds since the epoch, to a hundredth. */
export function clock(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 100) / 100
}

function none(): TechniqueFigures {
  return { requests: 0, empty: 0, events: 0, eventBytes: 0, up: 0, down: 0 }
}
