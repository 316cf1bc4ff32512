import type { Answer, AnswerState, EndEvent, FailureReason } from '../../../shared/demos/answer'
import { HttpError } from '../../httpError'
import type { Emitter } from '../../sse/channel'
import type { Hub } from '../../sse/hub'
import type { AnswerStore } from './answerStore'
import { SpeakerError, type Speaker } from './speaker'

export interface AnswerLimits {
  /** Answers at once, in all and for each client. @default 20, 3 */
  running?: number
  perClient?: number
  /** Characters of an answer. @default 20_000 */
  length?: number
  /** Milliseconds of an answer. @default 120_000 */
  time?: number
}

/** Milliseconds between two savings of a text, which is what a process that dies may lose of it. */
const SAVE_INTERVAL = 1_000

/** Milliseconds for a subscriber that came in the moment of the end to have heard of it. */
const LINGER = 2_000

interface Running {
  answer: Answer
  readonly client: string
  readonly asked: number
  readonly abort: AbortController
  readonly emitters: Set<Emitter>
  /** Resolves when it has ended, for all. */
  ended: Promise<void>
}

const channelOf = (id: string): string => `#answer:${id}`

/**
 * The answers of this process. Each writes into a channel of its own, whoever listens, and nobody asks for it twice: those who come,
 * or come back, read what is there and what follows.
 */
export class Answers {
  readonly #hub: Hub
  readonly #store: AnswerStore
  readonly #speaker: Speaker
  readonly #limits: Required<AnswerLimits>
  readonly #running = new Map<string, Running>()

  constructor(hub: Hub, store: AnswerStore, speaker: Speaker, limits: AnswerLimits = {}) {
    this.#hub = hub
    this.#store = store
    this.#speaker = speaker
    this.#limits = { running: 20, perClient: 3, length: 20_000, time: 120_000, ...limits }
  }

  /** Asks, unless this id was asked before. @throws HttpError at a limit */
  async ask(id: string, question: string, client: string): Promise<Answer> {
    const known = await this.find(id)
    if (known) return known
    this.#admit(client)
    const { model } = this.#speaker
    const answer: Answer = { id, question, text: '', state: 'streaming', reason: null, model, firstWord: null, took: 0 }
    const running: Running = {
      answer,
      client,
      asked: performance.now(),
      abort: new AbortController(),
      emitters: new Set(),
      ended: Promise.resolve(),
    }
    // Its place is taken before anything is awaited.
    this.#running.set(id, running)
    try {
      await this.#store.begin(answer)
    } catch (error) {
      this.#running.delete(id)
      throw error
    }
    running.ended = this.#run(running)
    return answer
  }

  /** Null if there is no such answer, or no longer. */
  async find(id: string): Promise<Answer | null> {
    const running = this.#running.get(id)
    if (running) return running.answer
    const stored = await this.#store.find(id)
    if (stored?.state !== 'streaming') return stored
    // Nobody writes it any more.
    const interrupted: Answer = { ...stored, state: 'interrupted' }
    await this.#store.save(interrupted)
    return interrupted
  }

  /** Stops it for everybody, and resolves when the request to the model is cancelled. Null if there is no such answer. */
  async stop(id: string): Promise<Answer | null> {
    const running = this.#running.get(id)
    running?.abort.abort(new Stopped())
    await running?.ended
    return this.find(id)
  }

  /** Serves an emitter with an answer that is being written. False if it is not. */
  async subscribe(id: string, after: string | null, open: () => Emitter): Promise<boolean> {
    const running = this.#running.get(id)
    if (!running) return false
    const opened = (): Emitter => {
      const emitter = open()
      running.emitters.add(emitter)
      emitter.onCompletion(() => running.emitters.delete(emitter))
      return emitter
    }
    await this.#hub.subscribe(channelOf(id), opened, { after, snapshot: () => JSON.stringify(running.answer) })
    return true
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

  async #run(running: Running): Promise<void> {
    const { answer, abort } = running
    const late = setTimeout(
      () => abort.abort(new SpeakerError('too-slow', 'It took too long.')),
      this.#limits.time,
    ).unref()
    let end: [AnswerState, FailureReason | null]
    try {
      await this.#write(running)
      end = ['done', null]
    } catch (error) {
      const cause: unknown = abort.signal.aborted ? abort.signal.reason : error
      if (cause instanceof Stopped) end = ['stopped', null]
      else {
        console.error(`Answer ${answer.id} failed:`, cause instanceof SpeakerError ? cause.message : cause)
        end = ['failed', cause instanceof SpeakerError ? cause.reason : 'internal']
      }
    }
    clearTimeout(late)
    await this.#end(running, ...end)
  }

  async #write(running: Running): Promise<void> {
    const { id, question } = running.answer
    let savedAt = performance.now()
    for await (const text of this.#speaker.speak(question, running.abort.signal)) {
      running.abort.signal.throwIfAborted()
      if (text === '') continue
      const before = running.answer
      const at = before.text.length
      const took = Math.round(performance.now() - running.asked)
      const firstWord = before.firstWord ?? took
      // The state first, then the news of it.
      running.answer = { ...before, text: before.text + text, firstWord, took }
      await this.#tell(id, 'delta', { at, text, firstWord, took })
      if (running.answer.text.length > this.#limits.length)
        throw new SpeakerError('too-long', 'The answer is too long.')
      if (performance.now() - savedAt < SAVE_INTERVAL) continue
      savedAt = performance.now()
      await this.#save(running.answer)
    }
  }

  async #end(running: Running, state: AnswerState, reason: FailureReason | null): Promise<void> {
    const { id } = running.answer
    const took = Math.round(performance.now() - running.asked)
    running.answer = { ...running.answer, state, reason, took }
    await this.#save(running.answer)
    if (state !== 'done') {
      const end: EndEvent = { state, reason, message: MESSAGES[reason ?? 'stopped'], took }
      await this.#tell(id, state === 'stopped' ? 'stopped' : 'stream-error', end)
    }
    this.#running.delete(id)
    await this.#hub.over(channelOf(id)).catch(() => null)
    // Whoever read the snapshot after that waits for what would follow: the next connection gets the end.
    setTimeout(() => {
      for (const emitter of running.emitters) emitter.complete()
    }, LINGER).unref()
  }

  /** What the log has no room for is in the next snapshot. */
  async #tell(id: string, event: string, data: object): Promise<void> {
    await this.#hub.publish(channelOf(id), { event, data: JSON.stringify(data) }).catch(() => undefined)
  }

  /** A database that fails costs what is kept, and not the answer. */
  async #save(answer: Answer): Promise<void> {
    await this.#store.save(answer).catch((error: unknown) => console.error(`Answer ${answer.id} was not saved:`, error))
  }
}

class Stopped extends Error {}

export const MESSAGES: Record<FailureReason | 'stopped' | 'interrupted', string> = {
  stopped: 'The answer was stopped, and the request to the model is cancelled.',
  interrupted: 'The server was restarted in the middle of this answer. It is not asked again by itself.',
  'upstream-unreachable': "The model's server cannot be reached.",
  'upstream-refused': "The model's server refused the question.",
  'upstream-busy': "The model's server is busy: try again in a moment.",
  'upstream-error': 'The model reported an error in the middle of the answer.',
  'upstream-broken': "The model's server broke off in the middle of the answer.",
  'upstream-silent': 'Nothing came from the model for too long.',
  'too-long': 'The answer became too long, and was cut off.',
  'too-slow': 'The answer took too long, and was cut off.',
  internal: 'The server failed.',
}
