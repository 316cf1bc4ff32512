import type { Request, Response } from 'express'
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
    readonly kind: 'address' | 'total',
    message: string,
    /** Seconds. */
    readonly retryAfter: number,
  ) {
    super(message)
  }
}

/** The streams that are open in this process: counts them, limits them, and ends them at shutdown. */
export class Streams {
  readonly #open = new Set<SseEmitter>()
  readonly #perAddress = new Map<string, number>()
  readonly #limits: Required<StreamLimits>

  constructor({ perAddress = 100, total = 10_000 }: StreamLimits = {}) {
    this.#limits = { perAddress, total }
  }

  get size(): number {
    return this.#open.size
  }

  /** @throws CapacityError at a limit, SseEmitterError `pipelined`. */
  open(req: Request, res: Response, options?: SseEmitterOptions): SseEmitter {
    const address = req.ip ?? ''
    const ofAddress = this.#perAddress.get(address) ?? 0
    const { perAddress, total } = this.#limits
    if (ofAddress >= perAddress)
      throw new CapacityError(
        'address',
        `${perAddress} streams are open from your address: close one, or try again later.`,
        30,
      )
    if (this.#open.size >= total) throw new CapacityError('total', `${total} streams are open: try again later.`, 30)

    const emitter = new SseEmitter(res, options)
    this.#open.add(emitter)
    this.#perAddress.set(address, ofAddress + 1)
    emitter.onCompletion(() => {
      this.#open.delete(emitter)
      const left = (this.#perAddress.get(address) ?? 1) - 1
      if (left > 0) this.#perAddress.set(address, left)
      else this.#perAddress.delete(address)
    })
    return emitter
  }

  /** Ends every stream. Clients come back after 2 to 5 s, spread out so that they do not all arrive in one moment. */
  end(): void {
    for (const emitter of this.#open) {
      emitter.send({ retry: retryHint() })
      emitter.complete()
    }
  }
}
