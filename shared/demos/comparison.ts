/** What both ends of the comparison agree on. */

/** One source of events, delivered by five techniques. */
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

/** A page generates a name for its run. Nobody else can guess it, so readers do not disturb each other. */
export const RUN_NAME: RegExp = /^[\w-]{20,64}$/

/** Minimum and maximum: milliseconds between two events, bytes of an event's payload. */
export const comparisonLimits = { interval: [10, 2_000], bytes: [0, 4_096] } as const

/** An event's text is this as JSON, the same for every technique, and ASCII: it has as many bytes as characters. */
export interface ComparisonEvent {
  /** 1 for the first of a run, one more for each. */
  n: number
  /** When it was created, by the server's clock: milliseconds since the epoch, with decimals. */
  time: number
  payload: string
}

/** What one technique cost so far, counted by the server. */
export interface TechniqueFigures {
  /** Requests; for a stream or a socket, connections; for the webhook, attempted deliveries. */
  requests: number
  /** Requests whose response had no event. */
  empty: number
  /** Sent events, and the bytes of their texts alone. */
  events: number
  eventBytes: number
  /** Bytes on the connections, headers and framing included: to the server, and from it. */
  up: number
  down: number
}

/** The response to `figures`. */
export interface ComparisonFigures {
  /** The server's clock, as in an event. */
  now: number
  /** The number of the newest event, so also how many there were. */
  newest: number
  techniques: Record<Technique, TechniqueFigures>
  /** Deliveries that the webhook's sender had to retry. */
  repeated: number
  /** The webhook's deliveries after the requested number: an event's number, its delay in milliseconds, and its `time`. */
  deliveries: [n: number, delay: number, time: number][]
  /** The number of the event after which the webhook was last enabled; 0 if it never was. */
  webhookAfter: number
}

/** @throws SyntaxError if the text is not an event of a comparison. */
export function parseComparisonEvent(text: string): ComparisonEvent {
  const value = JSON.parse(text) as ComparisonEvent
  if (Number.isInteger(value.n) && typeof value.time === 'number' && typeof value.payload === 'string') return value
  throw new SyntaxError('This is not an event of a comparison.')
}
