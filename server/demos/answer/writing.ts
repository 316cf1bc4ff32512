import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../../../shared/demos/answer'
import type { Position } from '../../sse/eventLog'
import type { Hub } from '../../sse/hub'
import type { AnswerStore } from './answerStore'
import { endingOf } from './ending'
import { SpeakerError, type Speaker } from './speaker'

export interface WritingOptions {
  hub: Hub
  store: AnswerStore
  speaker: Speaker
  /** The answer's own channel. */
  channel: string
  /** Characters of the answer. */
  length: number
  /** Milliseconds of the answer. */
  time: number
  /** Milliseconds between two signs of life, which is how long a stop takes that was asked for at another process. */
  beat: number
}

/** An answer while this process asks for it, and writes it into its channel. */
export class Writing {
  readonly #options: WritingOptions
  readonly #asked = performance.now()
  readonly #abort = new AbortController()
  #answer: Answer
  /** Characters that were told, and where. */
  #told = 0
  #position: Position | null = null
  #telling: Promise<void> = Promise.resolve()
  #run: Promise<boolean> = Promise.resolve(true)

  constructor(answer: Answer, options: WritingOptions) {
    this.#answer = answer
    this.#options = options
  }

  get answer(): Answer {
    return this.#answer
  }

  /** Resolves when it has ended: to true if its channel has all of it. */
  run(): Promise<boolean> {
    return (this.#run = this.#speakAndEnd())
  }

  /** Resolves when the request to the model is cancelled, and everybody was told. */
  async stop(): Promise<void> {
    this.#abort.abort(new Stopped())
    await this.#run
  }

  async #speakAndEnd(): Promise<boolean> {
    const late = setTimeout(
      () => this.#abort.abort(new SpeakerError('too-slow', 'It took too long.')),
      this.#options.time,
    ).unref()
    const hasEnded = new AbortController()
    const beating = this.#beat(hasEnded.signal)
    let end: Pick<Answer, 'state' | 'reason'>
    try {
      await this.#speak()
      end = { state: 'done', reason: null }
    } catch (error) {
      end = this.#endOf(error)
    }
    clearTimeout(late)
    hasEnded.abort()
    await beating
    return this.#end(end)
  }

  async #speak(): Promise<void> {
    const { speaker, length } = this.#options
    const { signal } = this.#abort
    for await (const text of speaker.speak(this.#answer.question, signal)) {
      signal.throwIfAborted()
      if (text === '') continue
      const took = this.#took()
      // The state first, then the news of it.
      this.#answer = {
        ...this.#answer,
        text: this.#answer.text + text,
        firstWord: this.#answer.firstWord ?? took,
        took,
      }
      await this.#tellText()
      if (this.#answer.text.length > length) throw new SpeakerError('too-long', 'The answer is too long.')
    }
  }

  #endOf(error: unknown): Pick<Answer, 'state' | 'reason'> {
    const { signal } = this.#abort
    const cause: unknown = signal.aborted ? signal.reason : error
    if (cause instanceof Stopped) return { state: 'stopped', reason: null }
    if (cause instanceof Ended) return { state: 'interrupted', reason: null }
    console.error(`Answer ${this.#answer.id} failed:`, cause instanceof SpeakerError ? cause.message : cause)
    return { state: 'failed', reason: cause instanceof SpeakerError ? cause.reason : 'internal' }
  }

  /** A database that fails costs what is kept, and not the answer. */
  async #beat(signal: AbortSignal): Promise<void> {
    const { store, beat } = this.#options
    while (await sleep(beat, true, { signal, ref: false }).catch(() => false)) {
      void this.#tellText()
      // What was told is in the text: nobody who reads it continues too far ahead.
      const state = await store.beat({ answer: this.#answer, position: this.#position }).catch(this.#unsaved)
      if (state === 'stop') this.#abort.abort(new Stopped())
      if (state === 'ended') this.#abort.abort(new Ended())
    }
  }

  async #end(end: Pick<Answer, 'state' | 'reason'>): Promise<boolean> {
    const { store } = this.#options
    await this.#tellText()
    this.#answer = { ...this.#answer, ...end, took: this.#took() }
    const isMine = await store.end({ answer: this.#answer, position: this.#position }).catch(this.#unsaved)
    // It counted as dead, and what others have been told stays true.
    if (isMine === false) this.#answer = { ...this.#answer, state: 'interrupted', reason: null }
    const ending = endingOf(this.#answer)
    const isTold = ending === null || (await this.#tell(ending.event, ending.data)) !== null
    return isTold && this.#told === this.#answer.text.length
  }

  /** All that was not told: what the log has no room for comes with the next word, or a little later. */
  #tellText(): Promise<void> {
    return (this.#telling = this.#telling.then(async () => {
      const { text, firstWord, took } = this.#answer
      const at = this.#told
      if (at === text.length) return
      const position = await this.#tell('delta', { at, text: text.slice(at), firstWord, took })
      if (position === null) return
      this.#told = text.length
      this.#position = position
    }))
  }

  #tell(event: string, data: object): Promise<Position | null> {
    const { hub, channel } = this.#options
    return hub.publish(channel, { event, data: JSON.stringify(data) }).catch(() => null)
  }

  #took(): number {
    return Math.round(performance.now() - this.#asked)
  }

  readonly #unsaved = (error: unknown): void => console.error(`Answer ${this.#answer.id} was not saved:`, error)
}

/** Somebody stopped it. */
class Stopped extends Error {}

/** It has ended without us: another process found no sign of life. */
class Ended extends Error {}
