/** What both ends of the emitter demo agree on. */

/** Ten messages `[yyyy-MM-dd HH:mm:ss] Data #0` to `#9`, then `close`. */
export const emitterPath = '/springSSE'

/** The callbacks of the server's emitters, as events named `callback`. */
export const emitterLogPath = '/springSSE/log'

/** Tells the client that the server failed, but not how. Not named `error`, to avoid confusion with EventSource's own event. */
export const failureEvent = 'stream-error'

/** Tells the client that the emitter timed out. */
export const timeoutEvent = 'stream-timeout'

/** One line of the log: which emitter, and what happened to it. */
export interface EmitterCallback {
  /** The client's name for its stream, from `?run=`; empty if it has none. */
  run: string
  callback: 'opened' | 'onTimeout' | 'onError' | 'onCompletion'
  /** The kind of error, otherwise empty. */
  detail: string
  /** When, by the server's clock: milliseconds since the epoch. */
  time: number
}

const CALLBACKS: readonly unknown[] = [
  'opened',
  'onTimeout',
  'onError',
  'onCompletion',
] satisfies EmitterCallback['callback'][]

/** @throws SyntaxError if the text is not an EmitterCallback. */
export function parseEmitterCallback(text: string): EmitterCallback {
  const value = JSON.parse(text) as EmitterCallback
  const { run, callback, detail, time } = value
  if (typeof run === 'string' && CALLBACKS.includes(callback) && typeof detail === 'string' && Number.isFinite(time))
    return value
  throw new SyntaxError('This is not a callback of an emitter.')
}
