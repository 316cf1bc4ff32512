import { encode, toEvent, type Sendable } from './encode.js'
import { checked, type SseEmitterOptions } from './emitterOptions.js'
import { iterate } from './iterate.js'
import type { Sink } from './sink.js'

/**
 * - `disconnected`: the client left, or was never there
 * - `overflow`: more than `maxUnsentBytes` are waiting for a slow client
 * - `stalled`: a slow client did not read its waiting bytes within `drainTimeout`
 * - `oversized`: one event is larger than `maxUnsentBytes`; thrown by `send`, which then sends nothing
 * - `pipelined`: the request waits behind another response on its connection; thrown by the constructor
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
  // `no-transform` keeps middleware and proxies from compressing: they would hold events back to fill a block.
  'Cache-Control': 'no-cache, no-transform',
  // nginx buffers responses unless told not to.
  'X-Accel-Buffering': 'no',
}

/**
 * One `text/event-stream` response and its life, modelled on Spring's `SseEmitter`.
 *
 * It ends once, in one of three ways, and calls back in this order:
 *
 * | ending                                     | callbacks                             |
 * |--------------------------------------------|---------------------------------------|
 * | `complete()`                               | `onCompletion`                        |
 * | `timeout` has passed                       | `onTimeout`, then `onCompletion`      |
 * | `completeWithError()`, or the client is gone or too slow | `onError`, then `onCompletion` |
 *
 * `send` still works inside `onTimeout` and `onError` as long as the client is there, for a last message.
 * If a callback throws, the error is logged and the others still run. A callback that is registered after its event has
 * happened is called in a microtask.
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
   * @throws SseEmitterError `pipelined`: nothing was sent; answer with an error, so that the client uses another connection.
   * @throws RangeError if an option is out of range: nothing was sent.
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

  /** The id after which the client wants to resume, untrusted; null for a newcomer. */
  get lastEventId(): string | null {
    return this.#sink.lastEventId
  }

  /** Aborted when the emitter ends, for any reason: pass it to the code that produces the events. */
  get signal(): AbortSignal {
    // Created on demand: few streams need one, and it takes more memory than the rest of the emitter.
    this.#abort ??= new AbortController()
    if (this.#ended) this.#abort.abort()
    return this.#abort.signal
  }

  /** Whether the emitter has ended. */
  get ended(): boolean {
    return this.#ended
  }

  /** Whether the client keeps up: false while bytes are waiting for it, and once the emitter has ended. See `onDrain`. */
  get writable(): boolean {
    return !this.#ended && this.#drain === undefined
  }

  /**
   * Sends one event, or its data alone. Everything sent in one turn of the event loop leaves together.
   *
   * @returns false if the emitter has ended and nothing was sent; it does not throw then.
   * @throws SseEncodeError or SseEmitterError `oversized` for an event that cannot be sent.
   */
  send(event: Sendable): boolean {
    return !this.#ended && this.#write(encode(toEvent(event)), true)
  }

  /**
   * Sends everything that an iterable yields, as fast as the client reads it, and leaves the stream open. If the emitter ends
   * first, the iterator is closed at once, as by `break` in a loop. (An async generator notices at its next `yield`:
   * pass `signal` to whatever it awaits.)
   *
   * @returns false if the emitter ended before everything was sent.
   * @throws whatever the iterable, `toEvent` or `send` throws.
   */
  iterate(values: AsyncIterable<Sendable> | Iterable<Sendable>): Promise<boolean>
  iterate<T>(values: AsyncIterable<T> | Iterable<T>, toEvent: (value: T) => Sendable): Promise<boolean>
  iterate<T>(
    values: AsyncIterable<T> | Iterable<T>,
    toEvent = (value: T): Sendable => value as Sendable,
  ): Promise<boolean> {
    return iterate(this, values, toEvent)
  }

  /** Sends encoded bytes at once: whole events, never to be changed afterwards. Returns and throws like `send`. */
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

  /** Ends the stream after everything sent so far. Does nothing if it has ended, and may be called from any callback. */
  complete(): void {
    this.#end({ kind: 'completed' })
  }

  /** Ends the stream like `complete`, and passes `error` to `onError`. The client does not see the error: send it an event of your own. */
  completeWithError(error: unknown): void {
    this.#end({ kind: 'error', error })
  }

  /** Each of these returns an unsubscribe function. */
  onTimeout(callback: () => void): () => void {
    return this.#register('timeout', callback)
  }

  onError(callback: (error: unknown) => void): () => void {
    return this.#register('error', callback)
  }

  onCompletion(callback: () => void): () => void {
    return this.#register('completion', callback)
  }

  /** Called each time the emitter becomes `writable` again. */
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

  /** The only exit. `#ending` is set once; its callbacks may still send; then everything that was started is stopped. */
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

  /** Nothing more can reach this client in time: cuts its connection and drops its waiting bytes. It may reconnect and resume. */
  #drop(kind: 'overflow' | 'stalled', message: string): void {
    this.#sink.destroy()
    this.#end({ kind: 'error', error: new SseEmitterError(kind, message) })
  }

  #clientGone(cause?: unknown): void {
    // A socket's `close` passes a boolean, `error` passes the error.
    const options = cause instanceof Error ? { cause } : {}
    this.#end({ kind: 'error', error: new SseEmitterError('disconnected', 'The client left.', options) })
  }

  #drained(): void {
    clearTimeout(this.#drain)
    this.#drain = undefined
    this.#call('drain')
  }
}

/** The type also allows async callbacks, and an unhandled rejection would end the process. */
async function isolated(callback: () => unknown): Promise<void> {
  try {
    await callback()
  } catch (error) {
    console.error('A callback of an SseEmitter threw:', error)
  }
}
