import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { retryHint, SseEmitter, type SseEmitterOptions } from './emitter'

export interface StreamLimits {
  /** Streams open at once from one client address. @default 100 */
  perAddress?: number
  /** Streams open at once in all. @default 10_000 */
  total?: number
}

/** No more streams can be opened: answer 503 with `Retry-After`. Streams that are open are never ended to make room. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError'
  constructor(
    readonly kind: 'address' | 'total' | 'shutdown',
    message: string,
    /** Seconds. */
    readonly retryAfter: number,
  ) {
    super(message)
  }
}

/** The streams that are open in this process: counts them, limits them, and ends them at shutdown. */
export class Streams {
  readonly #emitters = new Set<SseEmitter>()
  readonly #perAddress = new Map<string, number>()
  readonly #limits: Required<StreamLimits>
  readonly #options: SseEmitterOptions
  readonly #ending = new AbortController()
  #size = 0

  /** `options` are the defaults of every emitter. */
  constructor({ perAddress = 100, total = 10_000 }: StreamLimits = {}, options: SseEmitterOptions = {}) {
    this.#limits = { perAddress, total }
    this.#options = options
  }

  /** Responses that are open, including those that a slow client has not read to their end. */
  get size(): number {
    return this.#size
  }

  /** Aborted when the server shuts down: for what holds a connection and is no emitter. */
  get ending(): AbortSignal {
    return this.#ending.signal
  }

  /**
   * Takes a place for a response until it is closed.
   *
   * @throws CapacityError when there is none.
   */
  admit(req: IncomingMessage & { ip?: string | undefined }, res: ServerResponse): void {
    if (this.ending.aborted)
      throw new CapacityError('shutdown', 'The server is shutting down: try again in a moment.', 5)
    const address = req.ip ?? ''
    const ofAddress = this.#perAddress.get(address) ?? 0
    const { perAddress, total } = this.#limits
    if (ofAddress >= perAddress)
      throw new CapacityError('address', `${perAddress} streams are open from your address: close one, or wait.`, 30)
    if (this.#size >= total) throw new CapacityError('total', `${total} streams are open: try again later.`, 30)
    // Neither would ever give its place back: the one is closed, the other is pipelined behind a stream and may never be.
    if (res.closed || res.socket === null) return

    this.#size++
    this.#perAddress.set(address, ofAddress + 1)
    res.once('close', () => {
      this.#size--
      const left = (this.#perAddress.get(address) ?? 1) - 1
      if (left > 0) this.#perAddress.set(address, left)
      else this.#perAddress.delete(address)
    })
  }

  /** @throws CapacityError at a limit, SseEmitterError `pipelined`. */
  open(
    req: IncomingMessage & { ip?: string | undefined },
    res: ServerResponse,
    options?: SseEmitterOptions,
  ): SseEmitter {
    this.admit(req, res)
    const emitter = new SseEmitter(res, { ...this.#options, ...options })
    this.#emitters.add(emitter)
    emitter.onCompletion(() => this.#emitters.delete(emitter))
    return emitter
  }

  /**
   * Ends every stream and opens no more. The streams end one after the other over `spread` milliseconds, each with a random
   * `retry:` hint, so that their clients do not all come back in one moment.
   */
  async end(spread: number): Promise<void> {
    this.#ending.abort()
    const emitters = [...this.#emitters]
    await Promise.all(
      emitters.map(async (emitter, n) => {
        await sleep((spread * n) / emitters.length)
        emitter.send({ retry: retryHint() })
        emitter.complete()
      }),
    )
  }
}
