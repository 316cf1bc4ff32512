import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { encode, type SseEvent } from './encode'

export interface SseEmitterOptions {
  /** Milliseconds after which the emitter times out; 0 is never. @default 0 */
  timeout?: number
  /** Milliseconds of silence after which a heartbeat is sent; 0 is never. @default 15_000 */
  heartbeat?: number
  /**
   * Send the heartbeat as an event named `ping`, which has no id, instead of a comment: native EventSource hides
   * comments, so a page can only notice a silent connection by events. @default false
   */
  ping?: boolean
  /** The `retry:` hint that opens the stream, in milliseconds; false sends none. @default random, 2,000 to 5,000 */
  retry?: number | false
  /** Bytes that may wait for a slow client, 64 or more. One more, and the emitter ends. @default 1 MiB */
  maxUnsentBytes?: number
  /** Milliseconds that a slow client may take to empty what waits for it. @default 30_000 */
  drainTimeout?: number
}

/** What every emitter has unless told otherwise. */
export const emitterDefaults: { heartbeat: number; maxUnsentBytes: number; drainTimeout: number } = {
  heartbeat: 15_000,
  maxUnsentBytes: 2 ** 20,
  drainTimeout: 30_000,
}

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
  constructor(
    readonly kind: SseEmitterErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Node fires a timer with a longer delay at once. */
const MAX_DELAY = 2 ** 31 - 1

type Ending = { kind: 'completed' } | { kind: 'timeout' } | { kind: 'error'; error: unknown }

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
  readonly #res: ServerResponse
  readonly #socket: Socket | null
  readonly #maxUnsentBytes: number
  readonly #drainTimeout: number
  readonly #abort = new AbortController()
  readonly #onTimeout: (() => void)[] = []
  readonly #onError: ((error: unknown) => void)[] = []
  readonly #onCompletion: (() => void)[] = []
  readonly #onDrain: (() => void)[] = []
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
  constructor(res: ServerResponse, options: SseEmitterOptions = {}) {
    const { ping = false, retry = retryHint() } = options
    const timeout = delay('timeout', options.timeout ?? 0)
    const heartbeat = delay('heartbeat', options.heartbeat ?? emitterDefaults.heartbeat)
    if (retry !== false) delay('retry', retry)
    this.#res = res
    this.#socket = res.socket
    // The heartbeat and the hint, which nobody is there to catch, are smaller than the least.
    const maxUnsentBytes = options.maxUnsentBytes ?? emitterDefaults.maxUnsentBytes
    this.#maxUnsentBytes = integer('maxUnsentBytes', maxUnsentBytes, 64, Number.MAX_SAFE_INTEGER)
    this.#drainTimeout = delay('drainTimeout', options.drainTimeout ?? emitterDefaults.drainTimeout)

    res.on('error', this.#clientGone)
    if (res.destroyed || res.socket?.writable === false) {
      this.#clientGone()
      return
    }
    // Node gives a pipelined response its socket when the response before it has ended, which after a stream is never,
    // and does not tell it when the client leaves.
    if (res.socket === null)
      throw new SseEmitterError(
        'pipelined',
        'A stream needs a connection of its own: do not pipeline requests behind it.',
      )

    res.writeHead(200, HEADERS)
    if (res.req.method === 'HEAD') {
      this.complete()
      return
    }

    // An unread request body would pause the socket, and a paused socket does not see the client leave.
    res.req.resume()
    res.on('close', this.#clientGone)
    res.on('drain', this.#drained)
    res.socket.on('close', this.#clientGone)
    // Node answers a client's FIN with its own. What waits for a client that does not read keeps `close` away.
    res.socket.on('end', this.#clientGone)

    if (timeout > 0) this.#timeout = setTimeout(() => this.#end({ kind: 'timeout' }), timeout).unref()
    if (heartbeat > 0) {
      const beat = encode(ping ? { event: 'ping', data: '' } : { comment: '' })
      this.#heartbeat = setTimeout(() => this.write(beat), heartbeat).unref()
    }
    if (retry === false) res.flushHeaders()
    else this.send({ retry })
  }

  /** Aborted when the emitter ends, in whichever way: give it to whatever produces the events. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Whether the client keeps up: false while something waits for it, and when the emitter has ended. See `onDrain`. */
  get writable(): boolean {
    return !this.#ended && this.#drain === undefined
  }

  /**
   * Sends one event with one write.
   *
   * @returns false when the emitter has ended and nothing was sent; never throws for that.
   * @throws SseEncodeError or SseEmitterError `oversized` for an event that cannot be sent.
   */
  send(event: SseEvent): boolean {
    return !this.#ended && this.write(encode(event))
  }

  /** Sends ready bytes, which must be whole events. Returns and throws as `send` does. */
  write(bytes: Uint8Array): boolean {
    const res = this.#res
    if (this.#ended || !this.#socket?.writable || res.writableEnded) return false
    if (bytes.length > this.#maxUnsentBytes)
      throw new SseEmitterError(
        'oversized',
        `${bytes.length} bytes exceed maxUnsentBytes, ${this.#maxUnsentBytes}: send less at once.`,
      )
    if (res.writableLength + bytes.length > this.#maxUnsentBytes) {
      this.#drop('overflow', `More than ${this.#maxUnsentBytes} bytes wait for a slow client.`)
      return false
    }
    this.#heartbeat?.refresh()
    if (!res.write(bytes)) {
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

  onTimeout(callback: () => void): void {
    if (this.#ending === null) this.#onTimeout.push(callback)
    else if (this.#ending.kind === 'timeout') queueMicrotask(() => void isolated(callback))
  }

  onError(callback: (error: unknown) => void): void {
    const ending = this.#ending
    if (ending === null) this.#onError.push(callback)
    else if (ending.kind === 'error') queueMicrotask(() => void isolated(() => callback(ending.error)))
  }

  onCompletion(callback: () => void): void {
    if (this.#ended) queueMicrotask(() => void isolated(callback))
    else this.#onCompletion.push(callback)
  }

  /** Called each time that the emitter becomes `writable` again. */
  onDrain(callback: () => void): void {
    this.#onDrain.push(callback)
  }

  /** The only way out. `#ending` is set once; callbacks of it may still send; then everything that was started is stopped. */
  #end(ending: Ending): void {
    if (this.#ending !== null) return
    this.#ending = ending
    clearTimeout(this.#timeout)
    if (ending.kind === 'timeout') for (const callback of this.#onTimeout) void isolated(callback)
    if (ending.kind === 'error') for (const callback of this.#onError) void isolated(() => callback(ending.error))

    this.#ended = true
    clearTimeout(this.#heartbeat)
    clearTimeout(this.#drain)
    this.#finishResponse()
    this.#abort.abort()
    for (const callback of this.#onCompletion) void isolated(callback)
  }

  #finishResponse(): void {
    const res = this.#res
    this.#socket?.off('close', this.#clientGone).off('end', this.#clientGone)
    res.off('drain', this.#drained)
    if (!this.#socket?.writable) {
      res.destroy()
      return
    }
    res.end()
    // A client that never reads the rest must not keep the connection for ever.
    const unread = setTimeout(() => res.destroy(), this.#drainTimeout).unref()
    res.once('close', () => clearTimeout(unread))
  }

  /** Nothing more can reach this client in time: its connection goes, and with it what waited. It may come back and resume. */
  #drop(kind: 'overflow' | 'stalled', message: string): void {
    this.#res.destroy()
    this.#end({ kind: 'error', error: new SseEmitterError(kind, message) })
  }

  #clientGone = (cause?: unknown): void => {
    // `close` of a socket brings a boolean, `error` brings the error.
    const options = cause instanceof Error ? { cause } : {}
    this.#end({ kind: 'error', error: new SseEmitterError('disconnected', 'The client left.', options) })
  }

  #drained = (): void => {
    clearTimeout(this.#drain)
    this.#drain = undefined
    for (const callback of this.#onDrain) void isolated(callback)
  }
}

/** Milliseconds after which a client should reconnect: random, so that those who were cut off together do not return together. */
export function retryHint(): number {
  return 2_000 + Math.floor(Math.random() * 3_001)
}

function delay(name: string, ms: number): number {
  return integer(name, ms, 0, MAX_DELAY)
}

function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${value}.`)
  return value
}

/** An async callback fits the type too, and a rejection that nobody handles would end the process. */
async function isolated(callback: () => unknown): Promise<void> {
  try {
    await callback()
  } catch (error) {
    console.error('A callback of an SseEmitter threw:', error)
  }
}
