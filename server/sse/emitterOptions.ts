export interface SseEmitterOptions {
  /** Milliseconds after which the emitter times out; 0 is never. @default 0 */
  timeout?: number
  /** Milliseconds of silence after which a heartbeat is sent; 0 is never. @default 15_000 */
  heartbeat?: number
  /**
   * Send the heartbeat as an event named `ping`, without an id, instead of a comment: native EventSource hides
   * comments, so only events let a page notice a silent connection. @default false
   */
  ping?: boolean
  /** The `retry:` hint that opens the stream, in milliseconds; false sends none. @default random, 2,000 to 5,000 */
  retry?: number | false
  /** Bytes that may wait for a slow client, at least 64. Beyond that, the emitter ends. @default 1 MiB */
  maxUnsentBytes?: number
  /** Milliseconds that a slow client may take to read its waiting bytes. @default 30_000 */
  drainTimeout?: number
}

/** The defaults of every emitter. */
export const emitterDefaults: { heartbeat: number; maxUnsentBytes: number; drainTimeout: number } = {
  heartbeat: 15_000,
  maxUnsentBytes: 2 ** 20,
  drainTimeout: 30_000,
}

/** Node fires a timer with a longer delay at once. */
const MAX_DELAY = 2 ** 31 - 1

/** The options with their defaults. @throws RangeError */
export function checked(options: SseEmitterOptions): Required<SseEmitterOptions> {
  const { timeout = 0, ping = false, retry = retryHint() } = options
  const { heartbeat = emitterDefaults.heartbeat, maxUnsentBytes = emitterDefaults.maxUnsentBytes } = options
  const { drainTimeout = emitterDefaults.drainTimeout } = options
  check({ timeout, heartbeat, drainTimeout, ...(retry === false ? {} : { retry }) }, 0, MAX_DELAY)
  // 64 bytes fit the heartbeat and the hint: if they did not, nobody would catch the error.
  check({ maxUnsentBytes }, 64, Number.MAX_SAFE_INTEGER)
  return { timeout, heartbeat, ping, retry, maxUnsentBytes, drainTimeout }
}

function check(values: Record<string, number>, min: number, max: number): void {
  for (const [name, value] of Object.entries(values))
    if (!Number.isInteger(value) || value < min || value > max)
      throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${value}.`)
}

/** Milliseconds after which a client should reconnect: random, so that clients cut off together do not return together. */
export function retryHint(): number {
  return 2_000 + Math.floor(Math.random() * 3_001)
}
