/** What both ends of a streamed answer agree on, and how its events change it. */

export const answersPath = '/sse/answers'
export const answerPathOf = (id: string): string => `${answersPath}/${encodeURIComponent(id)}`

/** Whoever asks chooses the id, so that a question that is sent again is not asked again. */
export const ANSWER_ID: RegExp = /^[\w-]{16,64}$/

export const MAX_QUESTION = 2_000

/**
 * - `streaming`: it is being written
 * - `done`: it is complete
 * - `stopped`: somebody stopped it
 * - `failed`: see `reason`
 * - `interrupted`: the server that asked for it has died. It is not asked again by itself.
 */
export type AnswerState = 'streaming' | 'done' | 'stopped' | 'failed' | 'interrupted'

/**
 * Why an answer failed.
 *
 * - `upstream-unreachable`: the model's server does not answer
 * - `upstream-refused`: it answered with an error, such as for a wrong key
 * - `upstream-busy`: it answered 429 or 503
 * - `upstream-error`: it reported an error in the middle of the answer
 * - `upstream-broken`: what it sent was cut off, or is no such stream
 * - `upstream-silent`: nothing came for too long
 * - `too-long`, `too-slow`: the bounds of an answer
 * - `internal`: this server failed
 */
export type FailureReason =
  | 'upstream-unreachable'
  | 'upstream-refused'
  | 'upstream-busy'
  | 'upstream-error'
  | 'upstream-broken'
  | 'upstream-silent'
  | 'too-long'
  | 'too-slow'
  | 'internal'

/** The data of `snapshot`. */
export interface Answer {
  id: string
  question: string
  /** Markdown. */
  text: string
  state: AnswerState
  reason: FailureReason | null
  /** The model's name; null for the built-in speaker. */
  model: string | null
  /** Milliseconds from the question to the first word; null before it. */
  firstWord: number | null
  /** Milliseconds from the question until now, or until the end. */
  took: number
}

/** The data of `delta`. */
export interface DeltaEvent {
  /** Where the text belongs: characters before it. */
  at: number
  text: string
  firstWord: number
  took: number
}

/** The data of `stopped`, `stream-error` and `interrupted`. `message` says it in English, to whoever reads it with curl. */
export interface EndEvent {
  state: AnswerState
  reason: FailureReason | null
  message: string
  took: number
}

export type AnswerEvent =
  | { event: 'snapshot'; data: Answer }
  | { event: 'delta'; data: DeltaEvent }
  | { event: 'stopped' | 'stream-error' | 'interrupted'; data: EndEvent }
  | { event: 'close'; data: string }

/** The answer after one more event. A delta that is repeated, or contained in the snapshot, changes nothing. */
export function reduceAnswer(answer: Answer | null, { event, data }: AnswerEvent): Answer | null {
  if (event === 'snapshot') return data
  if (answer?.state !== 'streaming') return answer
  if (event === 'close') return { ...answer, state: 'done' }
  if (event !== 'delta') return { ...answer, state: data.state, reason: data.reason, took: data.took }
  const { at, text, firstWord, took } = data
  const isKnown = at + text.length <= answer.text.length
  return isKnown ? answer : { ...answer, text: answer.text.slice(0, at) + text, firstWord, took }
}
