/** Everything that can be set from outside, read and checked in one place. */
export interface Settings {
  port: number
  host: string
  /** Names besides `localhost` under which the server is reached. */
  allowedHosts: string[]
  /** Reverse proxies in front whose `X-Forwarded-For` is believed. */
  trustProxy: number
  pushToken: string | null
  pushesPerMinute: number
  maxEventBytes: number
  streams: { total: number; perAddress: number }
  emitter: { heartbeat: number; maxUnsentBytes: number; drainTimeout: number }
  log: { maxEvents: number; maxBytes: number; maxAge: number; maxChannels: number; maxTotalBytes: number }
}

/** A setting that cannot be used. The message names it, its limits and the mend, in one line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

const LOOPBACK = /^(localhost|127(\.\d+){3}|::1)$/

/** Reads every setting there is from the environment; an empty one counts as none. @throws SettingsError */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  function integer(name: string, fallback: number, min: number, max: number): number {
    const text = env[name]
    if (text === undefined || text === '') return fallback
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new SettingsError(
        `${name} must be an integer from ${min} to ${max}, not "${text}". Without it, ${fallback} is used.`,
      )
    return value
  }

  const host = env['HOST'] || '127.0.0.1'
  const pushToken = env['SSE_PUSH_TOKEN'] || null
  if (pushToken === null && !LOOPBACK.test(host))
    throw new SettingsError(
      `HOST ${host} can be reached from outside, where anybody could push: set SSE_PUSH_TOKEN, or leave HOST away for 127.0.0.1.`,
    )
  if (pushToken !== null && !/^\S{16,}$/.test(pushToken))
    throw new SettingsError('SSE_PUSH_TOKEN must have 16 characters or more, none of them a space.')

  return {
    port: integer('PORT', 3000, 0, 65_535),
    host,
    allowedHosts: (env['ALLOWED_HOSTS'] ?? '').split(',').flatMap((name) => name.trim() || []),
    trustProxy: integer('TRUST_PROXY', 0, 0, 10),
    pushToken,
    pushesPerMinute: integer('PUSHES_PER_MINUTE', 600, 1, 1_000_000),
    // Of nothing but line feeds, an event is seven times as long on the wire: the least MAX_UNSENT_BYTES has room for two.
    maxEventBytes: integer('MAX_EVENT_BYTES', 65_536, 1, 65_536),
    streams: {
      total: integer('MAX_STREAMS', 10_000, 1, 1_000_000),
      perAddress: integer('MAX_STREAMS_PER_ADDRESS', 100, 1, 1_000_000),
    },
    emitter: {
      heartbeat: integer('HEARTBEAT_MS', 15_000, 0, 3_600_000),
      maxUnsentBytes: integer('MAX_UNSENT_BYTES', 2 ** 20, 2 ** 20, 2 ** 30),
      drainTimeout: integer('DRAIN_TIMEOUT_MS', 30_000, 100, 3_600_000),
    },
    log: {
      maxEvents: integer('CHANNEL_MAX_EVENTS', 1_000, 1, 1_000_000),
      maxBytes: integer('CHANNEL_MAX_BYTES', 4 * 2 ** 20, 65_536, 2 ** 30),
      maxAge: integer('CHANNEL_MAX_AGE_MS', 600_000, 1_000, 86_400_000),
      maxChannels: integer('MAX_CHANNELS', 10_000, 1, 10_000_000),
      maxTotalBytes: integer('MAX_LOG_BYTES', 256 * 2 ** 20, 65_536, 2 ** 36),
    },
  }
}
