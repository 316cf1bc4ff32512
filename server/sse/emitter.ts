import { encode, toEvent, type Sendable } from './encode.js'
import { checked, type SseEmitterOptions } from './emitterOptions.js'
import { iterate } from './iterate.js'
import type { Sink } from './sink.js'

/**
 * - `disconnected`: the client left, or was never there
 * - `overflow`: more than `maxUnsentBytes` wait for a slow client
 * - `stalled`: a slow client did not take all that waited for it within `drainTimeout`
 * - `oversized`: one event is larger than `maxUnsentBytes`; thrown by `send`, which sends nothing then
 * - `pipelined`: the request waits behind another response of its connection; thrown by the constructor
 */
export type SseEmitterErrorKind = 'disconnected' | 'overflow' | 'stalled' | 'oversized' | 'pipelined'

export class SseEmitterError extends Error {
  override readonly name = 'SseEmitterError'
  readonly kind: SseEmitterErrorKind

  constructor(kind: SseEmitterErrorKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}

type Ending = { kind: 'completed' } | { kind: 'timeout' } | { kind: 'error'; error: unknown }

interface Callback {
  on: 'timeout' | 'error' | 'completion' | 'drain'
  call: (error: unknown) => unknown
}

const NONE: readonly Callback[] = []
const COMMENT = encode({ comment: '' })
const PING = encode({ event: 'ping', data: '' })

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // `no-transform` keeps compressing middleware and proxies away: they would hold events back to fill a block.
  'Cache-Control': 'no-cache, no-transform',
  // nginx buffers responses unless told not to.
  'X-Accel-Buffering': 'no',
}

/**
 * One `text/event-stream` response and its life, in the words of Spring's `SseEmitter`.
 *
 * It ends once, in one of three ways, and calls back in this order:
 *
 * | ending                                     | callbacks                             |
 * |--------------------------------------------|---------------------------------------|
 * | `complete()`                               | `onCompletion`                        |
 * | `timeout` has passed                       | `onTimeout`, then `onCompletion`      |
 * | `completeWithError()`, or the client is gone or too slow | `onError`, then `onCompletion` |
 *
 * `send` still works inside `onTimeout` and `onError`, as long as the client is there: the place to say goodbye.
 * A callback that throws is reported to the console and stops no other. One that is registered late, when what it waits
 * for has already happened, is called in a microtask.
 */
export class SseEmitter {
  readonly #sink: Sink
  readonly #maxUnsentBytes: number
  readonly #drainTimeout: number
  #callbacks: readonly Callback[] = NONE
  #abort: AbortController | undefined
  #ending: Ending | null = null
  #ended = false
  #timeout: NodeJS.Timeout | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #drain: NodeJS.Timeout | undefined

  /**
   * Sends the headers and the `retry:` hint at once.
   *
   * @throws SseEmitterError `pipelined`: nothing was sent, answer with an error and let the client use another connection.
   * @throws RangeError for an option out of its range: nothing was sent.
   */
  constructor(sink: Sink, options: SseEmitterOptions = {}) {
    const { timeout, heartbeat, ping, retry, maxUnsentBytes, drainTimeout } = checked(options)
    this.#sink = sink
    this.#maxUnsentBytes = maxUnsentBytes
    this.#drainTimeout = drainTimeout
    const opening = sink.open(HEADERS, {
      gone: (cause) => this.#clientGone(cause),
      drained: () => this.#drained(),
    })
    if (opening === 'pipelined')
      throw new SseEmitterError(
        'pipelined',
        'A stream needs a connection of its own: do not pipeline requests behind it.',
      )
    if (opening === 'gone') this.#clientGone()
    if (opening === 'head') this.complete()
    if (opening !== 'open') return

    if (timeout > 0) this.#timeout = setTimeout(() => this.#end({ kind: 'timeout' }), timeout).unref()
    if (heartbeat > 0) this.#heartbeat = setTimeout(() => this.write(ping ? PING : COMMENT), heartbeat).unref()
    if (retry !== false) this.send({ retry })
  }

  /** The id that the client asks to resume after, untrusted; null for a newcomer. */
  get lastEventId(): string | null {
    return this.#sink.lastEventId
  }

  /** Aborted when the emitter ends, in whichever way: give it to whatever produces the events. */
  get signal(): AbortSignal {
    // Few streams need one, and it takes more memory than the rest of the emitter.
    this.#abort ??= new AbortController()
    if (this.#ended) this.#abort.abort()
    return this.#abort.signal
  }

  /** Whether the emitter has ended. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether the client keeps up: false while something waits for it, and when the emitter has ended. See `onDrain`. */
  get writable(): boolean {
    return !this.#ended && this.#drain === undefined
  }

  /**
   * Sends one event, or its data alone. All that is sent in one turn of the event loop leaves together.
   *
   * @returns false when the emitter has ended and nothing was sent; never throws for that.
   * @throws SseEncodeError or SseEmitterError `oversized` for an event that cannot be sent.
   */
  send(event: Sendable): boolean {
    return !this.#ended && this.#write(encode(toEvent(event)), true)
  }

  /**
   * Sends everything that an iterable yields, as fast as the client takes it, and leaves the stream open. When the emitter ends
   * before, the iterator is returned at once, as by `break` in a loop. (An async generator hears of that at its next `yield`:
   * what it waits for should listen to `signal`.)
   *
   * @returns false when the emitter has ended before all was sent.
   * @throws what the iterable or `toEvent` throws, and what `send` throws.
   */
  iterate(values: AsyncIterable<Sendable> | Iterable<Sendable>): Promise<boolean>
  iterate<T>(values: AsyncIterable<T> | Iterable<T>, toEvent: (value: T) => Sendable): Promise<boolean>
  iterate<T>(
    values: AsyncIterable<T> | Iterable<T>,
    toEvent = (value: T): Sendable => value as Sendable,
  ): Promise<boolean> {
    return iterate(this, values, toEvent)
  }

  /** Sends ready bytes at once: whole events, which are never changed afterwards. Returns and throws as `send` does. */
  write(bytes: Uint8Array): boolean {
    return this.#write(bytes, false)
  }

  #write(bytes: Uint8Array, gather: boolean): boolean {
    const sink = this.#sink
    if (this.#ended || !sink.writable) return false
    if (bytes.length > this.#maxUnsentBytes)
      throw new SseEmitterError(
        'oversized',
        `${bytes.length} bytes exceed maxUnsentBytes, ${this.#maxUnsentBytes}: send less at once.`,
      )
    if (sink.unsent + bytes.length > this.#maxUnsentBytes) {
      this.#drop('overflow', `More than ${this.#maxUnsentBytes} bytes wait for a slow client.`)
      return false
    }
    this.#heartbeat?.refresh()
    if (!sink.write(bytes, gather)) {
      const stalled = `A slow client did not take what waited for it within ${this.#drainTimeout} ms.`
      this.#drain ??= setTimeout(() => this.#drop('stalled', stalled), this.#drainTimeout).unref()
    }
    return true
  }

  /** Ends the stream after what was sent. Does nothing when it has ended, and may be called from any callback. */
  complete(): void {
    this.#end({ kind: 'completed' })
  }

  /** Ends the stream as `complete` does, and hands `error` to `onError`. The client does not see it: send it an event of your own. */
  completeWithError(error: unknown): void {
    this.#end({ kind: 'error', error })
  }

  /** Each of these returns what takes the callback away again. */
  onTimeout(callback: () => void): () => void {
    return this.#register('timeout', callback)
  }

  onError(callback: (error: unknown) => void): () => void {
    return this.#register('error', callback)
  }

  onCompletion(callback: () => void): () => void {
    return this.#register('completion', callback)
  }

  /** Called each time that the emitter becomes `writable` again. */
  onDrain(callback: () => void): () => void {
    return this.#register('drain', callback)
  }

  #register(on: Callback['on'], call: Callback['call']): () => void {
    const ending = this.#ending
    const callback = { on, call }
    if (on === 'completion' ? this.#ended : ending !== null) {
      const error = ending?.kind === 'error' ? ending.error : undefined
      if (on === 'completion' || on === ending?.kind) queueMicrotask(() => void isolated(() => call(error)))
    }
    // An array that grows in place would keep room for sixteen more.
    else this.#callbacks = [...this.#callbacks, callback]
    return () => {
      this.#callbacks = this.#callbacks.filter((other) => other !== callback)
    }
  }

  #call(which: Callback['on'], error?: unknown): void {
    for (const { on, call } of this.#callbacks) if (on === which) void isolated(() => call(error))
  }

  /** The only way out. `#ending` is set once; callbacks of it may still send; then everything that was started is stopped. */
  #end(ending: Ending): void {
    if (this.#ending !== null) return
    this.#ending = ending
    clearTimeout(this.#timeout)
    if (ending.kind === 'timeout') this.#call('timeout')
    if (ending.kind === 'error') this.#call('error', ending.error)

    this.#ended = true
    clearTimeout(this.#heartbeat)
    clearTimeout(this.#drain)
    this.#sink.end(this.#drainTimeout)
    this.#abort?.abort()
    this.#call('completion')
  }

  /** Nothing more can reach this client in time: its connection goes, and with it what waited. It may come back and resume. */
  #drop(kind: 'overflow' | 'stalled', message: string): void {
    this.#sink.destroy()
    this.#end({ kind: 'error', error: new SseEmitterError(kind, message) })
  }

  #clientGone(cause?: unknown): void {
    // `close` of a socket brings a boolean, `error` brings the error.
    const options = cause instanceof Error ? { cause } : {}
    this.#end({ kind: 'error', error: new SseEmitterError('disconnected', 'The client left.', options) })
  }

  #drained(): void {
    clearTimeout(this.#drain)
    this.#drain = undefined
    this.#call('drain')
  }
}

/** An async callback fits the type too, and a rejection that nobody handles would end the process. */
async function isolated(callback: () => unknown): Promise<void> {
  try {
    await callback()
  } catch (error) {
    console.error('A callback of an SseEmitter threw:', error)
  }
}
