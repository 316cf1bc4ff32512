/** What both ends of the emitter demo agree on. */

/** Ten messages `[yyyy-MM-dd HH:mm:ss] Data #0` to `#9`, then `close`. */
export const emitterPath = '/springSSE'

/** What the server's emitters call back, as events named `callback`. */
export const emitterLogPath = '/springSSE/log'

/** Tells the client that the server failed, and not how. A name that EventSource's own `error` cannot be mistaken for. */
export const failureEvent = 'stream-error'

/** Tells the client that the emitter timed out. */
export const timeoutEvent = 'stream-timeout'

/** One line of the log: which emitter, and what happened to it. */
export interface EmitterCallback {
  /** As the client named its stream in `?run=`; empty if it did not. */
  run: string
  callback: 'opened' | 'onTimeout' | 'onError' | 'onCompletion'
  /** The kind of error, else empty. */
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

/** @throws SyntaxError when the text is not an EmitterCallback. */
export function parseEmitterCallback(text: string): EmitterCallback {
  const value = JSON.parse(text) as EmitterCallback
  const { run, callback, detail, time } = value
  if (typeof run === 'string' && CALLBACKS.includes(callback) && typeof detail === 'string' && Number.isFinite(time))
    return value
  throw new SyntaxError('This is no callback of an emitter.')
}
