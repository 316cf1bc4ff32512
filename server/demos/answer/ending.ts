import type { Answer, EndEvent, FailureReason } from '../../../shared/demos/answer'
import type { SseEmitter } from '../../sse/emitter'
import { closeEvent } from '../../sse/encode'

/** The id of the last event of an answer that has ended. */
export const END = 'end'

/** How an answer ended that is not complete: the name of its event, and its data. Null for any other. */
export function endingOf({ state, reason, took }: Answer): { event: string; data: EndEvent } | null {
  if (state === 'streaming' || state === 'done') return null
  const message = MESSAGES[reason ?? (state === 'interrupted' ? 'interrupted' : 'stopped')]
  return { event: state === 'failed' ? 'stream-error' : state, data: { state, reason, message, took } }
}

/** Sends what there is of an answer that nobody writes any more. */
export function sendEnded(emitter: SseEmitter, answer: Answer): void {
  emitter.send({ event: 'snapshot', data: JSON.stringify(answer) })
  const ending = endingOf(answer)
  if (ending) emitter.send({ event: ending.event, data: JSON.stringify(ending.data) })
  emitter.send({ ...closeEvent, id: END })
  emitter.complete()
}

const MESSAGES: Record<FailureReason | 'stopped' | 'interrupted', string> = {
  stopped: 'The answer was stopped, and the request to the model is cancelled.',
  interrupted: 'The server stopped in the middle of this answer. It is not asked again by itself.',
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
