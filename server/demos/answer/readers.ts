import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../../../shared/demos/answer'
import type { SseEmitter } from '../../sse/emitter'
import { sendEnded } from './ending'

/** Milliseconds between two looks at whether an answer has ended. */
const INTERVAL = 1_000

/** Milliseconds that the channel has to tell its end: whoever hears of it there is not told once more. */
const LINGER = 2_000

/**
 * Who reads the answers at this process. The end of one may never come through its channel: because its process has died, or its
 * snapshot was read after the end. So somebody looks, and tells those who still wait.
 */
export class Readers {
  readonly #find: (id: string) => Promise<Answer | null>
  readonly #emitters = new Map<string, Set<SseEmitter>>()

  constructor(find: (id: string) => Promise<Answer | null>) {
    this.#find = find
  }

  add(id: string, emitter: SseEmitter): void {
    const known = this.#emitters.get(id)
    const emitters = known ?? new Set()
    emitters.add(emitter)
    emitter.onCompletion(() => emitters.delete(emitter))
    if (known) return
    this.#emitters.set(id, emitters)
    void this.#watch(id, emitters)
  }

  async #watch(id: string, emitters: ReadonlySet<SseEmitter>): Promise<void> {
    let answer: Answer | null | undefined
    while (emitters.size > 0 && (answer === undefined || answer?.state === 'streaming')) {
      await sleep(INTERVAL, undefined, { ref: false })
      // Where it cannot be found out now, it can later.
      answer = await this.#find(id).catch(() => undefined)
    }
    if (emitters.size > 0) await sleep(LINGER, undefined, { ref: false })
    this.#emitters.delete(id)
    for (const emitter of emitters) {
      if (answer) sendEnded(emitter, answer)
      else emitter.complete()
    }
  }
}
