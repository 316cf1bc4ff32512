import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../../../shared/demos/answer'
import { HttpError } from '../../httpError'
import type { SseEmitter } from '../../sse/emitter'
import type { Hub } from '../../sse/hub'
import type { PlacedSnapshot } from '../../sse/reads'
import type { Database } from '../../store/database'
import { AnswerStore } from './answerStore'
import { Readers } from './readers'
import type { Speaker } from './speaker'
import { Writing } from './writing'

export interface AnswerLimits {
  /** Answers at once of this process, in all and for each client. @default 20, 3 */
  running?: number
  perClient?: number
  /** Characters of an answer. @default 20_000 */
  length?: number
  /** Milliseconds of an answer. @default 120_000 */
  time?: number
  /** Milliseconds between two signs of life of an answer, and without one until it counts as interrupted. @default 500, 5_000 */
  beat?: number
  patience?: number
}

/** Milliseconds between two looks at whether another process has stopped an answer. */
const STOP_INTERVAL = 100

/** Milliseconds for the readers of an answer that its channel lacks to be told of its end, see `Readers`. */
const UNTOLD = 5_000

const channelOf = (id: string): string => `#answer:${id}`

/**
 * The answers. Each is written by one process, into a channel of its own, whoever listens, and nobody asks for it twice: those who
 * come, or come back, read what is there and what follows, at any process.
 */
export class Answers {
  readonly #hub: Hub
  readonly #store: AnswerStore
  readonly #speaker: Speaker
  readonly #limits: Required<AnswerLimits>
  /** Those that this process writes, and who asked. */
  readonly #running = new Map<string, { writing: Writing; client: string }>()
  readonly #readers = new Readers((id) => this.find(id))

  constructor(hub: Hub, database: Database, speaker: Speaker, limits: AnswerLimits = {}) {
    const defaults = { running: 20, perClient: 3, length: 20_000, time: 120_000, beat: 500, patience: 5_000 }
    this.#limits = { ...defaults, ...limits }
    this.#hub = hub
    this.#store = new AnswerStore(database, this.#limits.patience)
    this.#speaker = speaker
  }

  /** Asks, unless this id was asked before, at whichever process. @throws HttpError at a limit */
  async ask(id: string, question: string, client: string): Promise<Answer> {
    const known = await this.find(id)
    if (known) return known
    // Somebody may have asked in the meantime.
    const running = this.#running.get(id)
    if (running) return running.writing.answer
    this.#admit(client)
    const { model } = this.#speaker
    const answer: Answer = { id, question, text: '', state: 'streaming', reason: null, model, firstWord: null, took: 0 }
    const [hub, store, speaker, channel] = [this.#hub, this.#store, this.#speaker, channelOf(id)]
    const writing = new Writing(answer, { ...this.#limits, hub, store, speaker, channel })
    // Its place is taken before anything is awaited.
    this.#running.set(id, { writing, client })
    let isNew: boolean
    try {
      isNew = await store.begin(answer)
    } catch (error) {
      this.#running.delete(id)
      throw error
    }
    if (isNew) {
      void this.#write(id, writing)
      return answer
    }
    this.#running.delete(id)
    return (await this.find(id)) ?? answer
  }

  /** Null if there is no such answer, or no longer. */
  async find(id: string): Promise<Answer | null> {
    const running = this.#running.get(id)
    return running ? running.writing.answer : ((await this.#store.find(id))?.answer ?? null)
  }

  /**
   * Stops it for everybody, and resolves when the request to the model is cancelled, or its process does not say so in time. Null
   * if there is no such answer.
   */
  async stop(id: string): Promise<Answer | null> {
    const running = this.#running.get(id)
    if (running) {
      await running.writing.stop()
      return running.writing.answer
    }
    await this.#store.stop(id)
    const deadline = performance.now() + this.#limits.beat + this.#limits.patience
    let answer = await this.find(id)
    while (answer?.state === 'streaming' && performance.now() < deadline) {
      await sleep(STOP_INTERVAL)
      answer = await this.find(id)
    }
    return answer
  }

  /** Serves an emitter with an answer that is being written. `ended` if it is not, `finished` if the client has seen its end. */
  async subscribe(id: string, after: string | null, open: () => SseEmitter): Promise<'open' | 'ended' | 'finished'> {
    if ((await this.find(id))?.state !== 'streaming') return 'ended'
    const opened = (): SseEmitter => {
      const emitter = open()
      this.#readers.add(id, emitter)
      return emitter
    }
    return this.#hub.subscribe(channelOf(id), opened, { after, snapshot: () => this.#snapshot(id) })
  }

  async #snapshot(id: string): Promise<string | PlacedSnapshot> {
    const running = this.#running.get(id)
    if (running) return JSON.stringify(running.writing.answer)
    const stored = await this.#store.find(id)
    if (!stored) throw new Error(`Answer ${id} is no longer kept.`)
    return { data: JSON.stringify(stored.answer), position: stored.position ?? '0' }
  }

  #admit(client: string): void {
    const { running, perClient } = this.#limits
    const all = [...this.#running.values()]
    const busy = { 'Retry-After': '10' }
    if (all.length >= running)
      throw new HttpError(503, 'answers', `${running} answers are being written: try again in a moment.`, busy)
    if (all.filter((one) => one.client === client).length >= perClient)
      throw new HttpError(
        429,
        'answers-client',
        `${perClient} of your answers are being written: wait, or stop one.`,
        busy,
      )
  }

  async #write(id: string, writing: Writing): Promise<void> {
    const isTold = await writing.run()
    this.#running.delete(id)
    // Otherwise the end of the channel would pass for the end of the answer. Its readers are told by what is stored.
    if (!isTold) await sleep(UNTOLD, undefined, { ref: false })
    await this.#hub.over(channelOf(id)).catch(() => null)
  }
}
