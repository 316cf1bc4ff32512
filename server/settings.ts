import { domainToASCII } from 'node:url'
import { isLoopback } from './loopback'
import { emitterDefaults } from './sse/emitterOptions'
import { memoryLogDefaults } from './sse/memoryEventLog'
import { streamLimits } from './sse/streams'

/** An integer setting. */
interface IntegerSetting {
  fallback: number
  min: number
  max: number
}

/** Every integer setting: the only place for its default and its range. */
const INTEGERS = {
  PORT: { fallback: 3_000, min: 0, max: 65_535 },
  TRUST_PROXY: { fallback: 0, min: 0, max: 10 },
  PUSHES_PER_MINUTE: { fallback: 600, min: 1, max: 1_000_000 },
  // An event of nothing but line feeds is seven times as long on the wire: the smallest MAX_UNSENT_BYTES has room for two.
  MAX_EVENT_BYTES: { fallback: 65_536, min: 1, max: 65_536 },
  MAX_STREAMS: { fallback: streamLimits.total, min: 1, max: 1_000_000 },
  MAX_STREAMS_PER_ADDRESS: { fallback: streamLimits.perAddress, min: 1, max: 1_000_000 },
  MAX_CHANNELS_PER_ADDRESS: { fallback: 100, min: 1, max: 1_000_000 },
  HEARTBEAT_MS: { fallback: emitterDefaults.heartbeat, min: 0, max: 3_600_000 },
  MAX_UNSENT_BYTES: { fallback: emitterDefaults.maxUnsentBytes, min: 2 ** 20, max: 2 ** 30 },
  DRAIN_TIMEOUT_MS: { fallback: emitterDefaults.drainTimeout, min: 100, max: 3_600_000 },
  REQUEST_TIMEOUT_MS: { fallback: 20_000, min: 100, max: 3_600_000 },
  KEEP_ALIVE_MS: { fallback: 75_000, min: 1_000, max: 3_600_000 },
  SHUTDOWN_MS: { fallback: 2_000, min: 0, max: 600_000 },
  CHANNEL_MAX_EVENTS: { fallback: memoryLogDefaults.maxEvents, min: 1, max: 1_000_000 },
  CHANNEL_MAX_BYTES: { fallback: memoryLogDefaults.maxBytes, min: 65_536, max: 2 ** 30 },
  CHANNEL_MAX_AGE_MS: { fallback: memoryLogDefaults.maxAge, min: 1_000, max: 86_400_000 },
  MAX_CHANNELS: { fallback: memoryLogDefaults.maxChannels, min: 1, max: 10_000_000 },
  MAX_LOG_BYTES: { fallback: memoryLogDefaults.maxTotalBytes, min: 65_536, max: 2 ** 36 },
} satisfies Record<string, IntegerSetting>

/** Everything that can be set from outside, read and checked in one place. */
export interface Settings {
  port: number
  host: string
  /** Names besides `localhost` under which the server is reached. */
  allowedHosts: readonly string[]
  /** Reverse proxies in front whose `X-Forwarded-For` is believed. */
  trustProxy: number
  /** The token that state-changing requests must carry; null if only this machine can reach the server. */
  pushToken: string | null
  /** Per client. */
  pushesPerMinute: number
  /** Different channels that one client may push to within `CHANNEL_MAX_AGE_MS`. */
  channelsPerAddress: number
  maxEventBytes: number
  /** Where inboxes, todos and answers are kept. */
  database: { url: string; authToken: string | null }
  /** Whom `/answer` asks; null for the built-in speaker. */
  openAi: { baseUrl: string; apiKey: string | null; model: string } | null
  /** Milliseconds over which the streams are ended at shutdown. */
  shutdownWindow: number
  http: { requestTimeout: number; keepAliveTimeout: number }
  streams: { total: number; perAddress: number }
  emitter: { heartbeat: number; maxUnsentBytes: number; drainTimeout: number }
  log: { maxEvents: number; maxBytes: number; maxAge: number; maxChannels: number; maxTotalBytes: number }
  /** The Redis that several servers share their channels on; null keeps channels in this server's memory. */
  redisUrl: string | null
}

/** An invalid setting. The message names it, its limits and what to do, in one line. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
}

/** Reads all settings from the environment; an empty one counts as unset. @throws SettingsError */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const host = env['HOST'] || '127.0.0.1'
  const allowedHosts = names('ALLOWED_HOSTS', env['ALLOWED_HOSTS'] ?? '')
  const trustProxy = integer(env, 'TRUST_PROXY')
  const pushToken = token('SSE_PUSH_TOKEN', env['SSE_PUSH_TOKEN'] ?? '')
  if (pushToken === null) {
    if (!isLoopback(host)) throw unprotected('HOST', `is ${host}`)
    if (allowedHosts.length > 0) throw unprotected('ALLOWED_HOSTS', `is ${allowedHosts.join()}`)
    if (trustProxy > 0) throw unprotected('TRUST_PROXY', `is ${trustProxy}`)
  }

  return {
    port: integer(env, 'PORT'),
    host,
    allowedHosts,
    trustProxy,
    pushToken,
    pushesPerMinute: integer(env, 'PUSHES_PER_MINUTE'),
    channelsPerAddress: integer(env, 'MAX_CHANNELS_PER_ADDRESS'),
    maxEventBytes: integer(env, 'MAX_EVENT_BYTES'),
    database: {
      url: databaseUrl(env['DATABASE_URL'] || 'file:data/demo.db'),
      authToken: env['DATABASE_AUTH_TOKEN'] || null,
    },
    openAi: openAi(env),
    shutdownWindow: integer(env, 'SHUTDOWN_MS'),
    http: {
      requestTimeout: integer(env, 'REQUEST_TIMEOUT_MS'),
      keepAliveTimeout: integer(env, 'KEEP_ALIVE_MS'),
    },
    streams: {
      total: integer(env, 'MAX_STREAMS'),
      perAddress: integer(env, 'MAX_STREAMS_PER_ADDRESS'),
    },
    emitter: {
      heartbeat: integer(env, 'HEARTBEAT_MS'),
      maxUnsentBytes: integer(env, 'MAX_UNSENT_BYTES'),
      drainTimeout: integer(env, 'DRAIN_TIMEOUT_MS'),
    },
    log: {
      maxEvents: integer(env, 'CHANNEL_MAX_EVENTS'),
      maxBytes: integer(env, 'CHANNEL_MAX_BYTES'),
      maxAge: integer(env, 'CHANNEL_MAX_AGE_MS'),
      maxChannels: integer(env, 'MAX_CHANNELS'),
      maxTotalBytes: integer(env, 'MAX_LOG_BYTES'),
    },
    redisUrl: redisUrl('REDIS_URL', env['REDIS_URL'] ?? ''),
  }
}

/** Others could reach the server, and nothing would protect state-changing requests. */
function unprotected(name: string, value: string): SettingsError {
  return new SettingsError(
    `${name} ${value}, so others could reach this server and push: set SSE_PUSH_TOKEN as well (openssl rand -hex 16 makes one), or unset ${name}.`,
  )
}

function integer(env: NodeJS.ProcessEnv, name: keyof typeof INTEGERS): number {
  const { fallback, min, max } = INTEGERS[name]
  const text = env[name]
  if (text === undefined || text === '') return fallback
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new SettingsError(
      `${name} must be an integer from ${min} to ${max}, not "${text}". Without it, ${fallback} is used.`,
    )
  return value
}

/** A token that fits a header: `Authorization: Bearer …`. The message does not repeat it. */
function token(name: string, text: string): string | null {
  if (text === '') return null
  if (!/^[\x21-\x7e]{16,}$/.test(text))
    throw new SettingsError(`${name} must have 16 or more letters, digits and signs of ASCII, and no space.`)
  return text
}

/** The messages do not repeat the key. */
function openAi(env: NodeJS.ProcessEnv): Settings['openAi'] {
  const baseUrl = env['OPENAI_BASE_URL'] ?? ''
  if (baseUrl === '') return null
  if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol))
    throw new SettingsError(
      `OPENAI_BASE_URL must be an http(s) address, as https://api.openai.com/v1, not "${baseUrl}".`,
    )
  const model = env['OPENAI_MODEL'] ?? ''
  if (model === '')
    throw new SettingsError('OPENAI_BASE_URL is set: set OPENAI_MODEL as well, to the name of a model that it has.')
  const apiKey = env['OPENAI_API_KEY'] || null
  if (apiKey !== null && !/^[\x21-\x7e]+$/.test(apiKey))
    throw new SettingsError('OPENAI_API_KEY must be ASCII without spaces: it is sent in a header.')
  return { baseUrl, apiKey, model }
}

function databaseUrl(url: string): string {
  if (!/^(:memory:$|file:.|(libsql|https?|wss?):\/\/.)/.test(url))
    throw new SettingsError(
      `DATABASE_URL must be file: and a path, as in file:data/demo.db, the address of a libSQL server, as in libsql://db.example, or :memory:.`,
    )
  return url
}

/** The message does not repeat it: it may contain a password. */
function redisUrl(name: string, text: string): string | null {
  if (text === '') return null
  const { protocol, hostname } = URL.canParse(text) ? new URL(text) : { protocol: '', hostname: '' }
  if (!['redis:', 'rediss:'].includes(protocol) || hostname === '')
    throw new SettingsError(
      `${name} must be the address of a Redis, such as "redis://localhost:6379" or, with TLS, "rediss://user:password@redis.example:6379".`,
    )
  return text
}

/** Host names as in a `Host` header: lower case, and international ones as `xn--…`. */
function names(name: string, list: string): string[] {
  const given = list.split(',').flatMap((item) => item.trim() || [])
  return given.map((item) => {
    // `domainToASCII` would accept `app.example/path` as a name, too.
    const ascii = /[/\\?#%]/.test(item) ? '' : domainToASCII(item)
    if (!/^[\w-]+(\.[\w-]+)*$/.test(ascii))
      throw new SettingsError(
        `${name} must be host names separated by commas, such as "app.example,www.app.example", without scheme, port or path: "${item}" is not one.`,
      )
    return ascii
  })
}
