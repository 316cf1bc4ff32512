/** What both ends of the comparison agree on. */

/** One source of events, brought to the page by five techniques. */
export const TECHNIQUES = ['shortPolling', 'longPolling', 'sse', 'webSocket', 'webhook'] as const
export type Technique = (typeof TECHNIQUES)[number]

export const comparisonPaths = {
  /** Starts a run, or changes it: `run`, `interval`, `bytes`, `webhook`. */
  run: '/sse/comparison/run',
  cut: '/sse/comparison/cut',
  stop: '/sse/comparison/stop',
  figures: '/sse/comparison/figures',
  shortPolling: '/sse/comparison/short-polling',
  longPolling: '/sse/comparison/long-polling',
  sse: '/sse/comparison/stream',
  webSocket: '/sse/comparison/socket',
} as const

/** A page makes up a name for its run. Nobody else can guess it, so readers do not disturb each other. */
export const RUN_NAME: RegExp = /^[\w-]{20,64}$/

/** The least and the most: milliseconds between two events, bytes of an event's payload. */
export const comparisonLimits = { interval: [10, 2_000], bytes: [0, 4_096] } as const

/** The text of an event is this as JSON, the same for every technique, and ASCII: it has as many bytes as characters. */
export interface ComparisonEvent {
  /** 1 for the first of a run, one more for each. */
  n: number
  /** When it was made by the server's clock: milliseconds since the epoch, and parts of them. */
  time: number
  payload: string
}

/** What one technique cost so far, counted by the server. */
export interface TechniqueFigures {
  /** Requests; for a stream or a socket, connections; for the webhook, deliveries that were tried. */
  requests: number
  /** Of them, those whose answer had no event. */
  empty: number
  /** Events that were sent, and the bytes of their texts alone. */
  events: number
  eventBytes: number
  /** Bytes of the connections, headers and framing included: towards the server, and away from it. */
  up: number
  down: number
}

/** The answer to `figures`. */
export interface ComparisonFigures {
  /** The server's clock, as in an event. */
  now: number
  /** The number of the newest event: how many were made. */
  newest: number
  techniques: Record<Technique, TechniqueFigures>
  /** Deliveries that the webhook's sender had to repeat. */
  repeated: number
  /** What the webhook's receiver got after the number that was asked for: an event's number, its delay in milliseconds, and its `time`. */
  deliveries: [n: number, delay: number, time: number][]
  /** The webhook was last switched on after the event of this number; 0 before that. */
  webhookAfter: number
}

/** @throws SyntaxError when the text is no event of a comparison. */
export function parseComparisonEvent(text: string): ComparisonEvent {
  const value = JSON.parse(text) as ComparisonEvent
  if (Number.isInteger(value.n) && typeof value.time === 'number' && typeof value.payload === 'string') return value
  throw new SyntaxError('This is no event of a comparison.')
}
