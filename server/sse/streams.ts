import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientKey, type Addressed } from './clientKey.js'
import { SseEmitter } from './emitter.js'
import { retryHint, type SseEmitterOptions } from './emitterOptions.js'
import { nodeSink } from './nodeSink.js'
import type { Sink } from './sink.js'

export interface StreamLimits {
  /** Open streams per client, see `clientKey`. @default 100 */
  perAddress?: number
  /** Open streams in total. @default 10_000 */
  total?: number
}

export const streamLimits: Required<StreamLimits> = { perAddress: 100, total: 10_000 }

/** No more streams can be opened: answer 503 with `Retry-After`. Open streams are never ended to make room. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError'
  readonly kind: 'address' | 'total' | 'shutdown'
  /** Seconds. */
  readonly retryAfter: number

  constructor(kind: CapacityError['kind'], message: string, retryAfter: number) {
    super(message)
    this.kind = kind
    this.retryAfter = retryAfter
  }
}

/** The open streams of this process: counts them, limits them, and ends them at shutdown. */
export class Streams {
  /** Every response that has a place, and the function that ends it at shutdown. */
  readonly #open = new Map<Sink, () => void>()
  readonly #perClient = new Map<string, number>()
  readonly #limits: Required<StreamLimits>
  readonly #options: SseEmitterOptions
  readonly #ending = new AbortController()

  /** `options` are the defaults of every emitter. */
  constructor(limits: StreamLimits = {}, options: SseEmitterOptions = {}) {
    this.#limits = { ...streamLimits, ...limits }
    this.#options = options
  }

  /** Open responses, including ended ones that a slow client has not finished reading. */
  get size(): number {
    return this.#open.size
  }

  /** Aborted when the server shuts down. */
  get ending(): AbortSignal {
    return this.#ending.signal
  }

  /** Why nobody can open a stream at present; null if streams are accepted. */
  get refusal(): CapacityError | null {
    if (this.ending.aborted)
      return new CapacityError('shutdown', 'The server is shutting down: try again in a moment.', 5)
    if (this.size >= this.#limits.total)
      return new CapacityError('total', `${this.#limits.total} streams are open: try again later.`, 30)
    return null
  }

  /**
   * Takes a place for a response until it is closed. `end` is called at shutdown, when its turn comes; listen to `ending` to
   * end at once.
   *
   * @throws CapacityError when there is none.
   */
  admit(req: Addressed, res: ServerResponse | Sink, end: () => void = () => undefined): void {
    const sink = sinkOf(res)
    if (this.refusal) throw this.refusal
    const client = clientKey(req)
    const ofClient = this.#perClient.get(client) ?? 0
    const { perAddress } = this.#limits
    if (ofClient >= perAddress)
      throw new CapacityError('address', `${perAddress} streams are open from your address: close one, or wait.`, 30)
    // A closed sink would never give its place back.
    if (sink.closed) return

    this.#open.set(sink, end)
    this.#perClient.set(client, ofClient + 1)
    sink.onClose(() => {
      this.#open.delete(sink)
      const left = (this.#perClient.get(client) ?? 1) - 1
      if (left > 0) this.#perClient.set(client, left)
      else this.#perClient.delete(client)
    })
  }

  /**
   * Opens a stream on a Node response or a sink.
   *
   * @throws CapacityError at a limit, SseEmitterError `pipelined`.
   */
  open(req: Addressed, res: ServerResponse | Sink, options?: SseEmitterOptions): SseEmitter {
    const sink = sinkOf(res)
    this.admit(req, sink, () => {
      emitter.send({ retry: retryHint() })
      emitter.complete()
    })
    const emitter = new SseEmitter(sink, { ...this.#options, ...options })
    return emitter
  }

  /**
   * Ends every stream and opens no more. The streams end one after the other over `spread` milliseconds, each with a random
   * `retry:` hint, so that their clients do not all reconnect at once.
   */
  async end(spread: number): Promise<void> {
    this.#ending.abort()
    const open = [...this.#open]
    await Promise.all(
      open.map(async ([sink, end], n) => {
        await sleep((spread * n) / open.length)
        if (this.#open.has(sink)) end()
      }),
    )
  }
}

function sinkOf(res: ServerResponse | Sink): Sink {
  return 'writeHead' in res ? nodeSink(res) : res
}
