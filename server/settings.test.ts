import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readSettings, SettingsError, type Settings } from './settings'

/** Every integer setting: its name, default, limits, and where it goes. */
const integers: [string, number, number, number, (settings: Settings) => number][] = [
  ['PORT', 3_000, 0, 65_535, ({ port }) => port],
  ['TRUST_PROXY', 0, 0, 10, ({ trustProxy }) => trustProxy],
  ['PUSHES_PER_MINUTE', 600, 1, 1_000_000, ({ pushesPerMinute }) => pushesPerMinute],
  ['MAX_EVENT_BYTES', 65_536, 1, 65_536, ({ maxEventBytes }) => maxEventBytes],
  ['MAX_STREAMS', 10_000, 1, 1_000_000, ({ streams }) => streams.total],
  ['MAX_STREAMS_PER_ADDRESS', 100, 1, 1_000_000, ({ streams }) => streams.perAddress],
  ['MAX_CHANNELS_PER_ADDRESS', 100, 1, 1_000_000, ({ channelsPerAddress }) => channelsPerAddress],
  ['REQUEST_TIMEOUT_MS', 20_000, 100, 3_600_000, ({ http }) => http.requestTimeout],
  ['KEEP_ALIVE_MS', 75_000, 1_000, 3_600_000, ({ http }) => http.keepAliveTimeout],
  ['SHUTDOWN_MS', 2_000, 0, 600_000, ({ shutdownWindow }) => shutdownWindow],
  ['HEARTBEAT_MS', 15_000, 0, 3_600_000, ({ emitter }) => emitter.heartbeat],
  ['MAX_UNSENT_BYTES', 1_048_576, 1_048_576, 1_073_741_824, ({ emitter }) => emitter.maxUnsentBytes],
  ['DRAIN_TIMEOUT_MS', 30_000, 100, 3_600_000, ({ emitter }) => emitter.drainTimeout],
  ['CHANNEL_MAX_EVENTS', 1_000, 1, 1_000_000, ({ log }) => log.maxEvents],
  ['CHANNEL_MAX_BYTES', 4_194_304, 65_536, 1_073_741_824, ({ log }) => log.maxBytes],
  ['CHANNEL_MAX_AGE_MS', 600_000, 1_000, 86_400_000, ({ log }) => log.maxAge],
  ['MAX_CHANNELS', 10_000, 1, 10_000_000, ({ log }) => log.maxChannels],
  ['MAX_LOG_BYTES', 268_435_456, 65_536, 68_719_476_736, ({ log }) => log.maxTotalBytes],
]

const TOKEN = 'sixteen-letters-'

/** The error message for an invalid environment. */
function refusal(env: NodeJS.ProcessEnv): string {
  try {
    readSettings(env)
  } catch (error) {
    if (error instanceof SettingsError) return error.message
    throw error
  }
  return 'accepted'
}

describe('an integer', () => {
  it.each(integers)('%s is %i when it is not set, or empty', (name, fallback, _min, _max, of) => {
    expect(of(readSettings({}))).toBe(fallback)
    expect(of(readSettings({ [name]: '' }))).toBe(fallback)
  })

  it.each(integers)('%s (%i) may be from %i to %i, and is only itself', (name, _fallback, min, max, of) => {
    for (const value of [min, max]) {
      const settings = readSettings({ [name]: String(value), SSE_PUSH_TOKEN: TOKEN })
      expect(of(settings)).toBe(value)
      const others = integers.filter(([other]) => other !== name)
      for (const [other, fallback, , , ofOther] of others) expect(ofOther(settings), other).toBe(fallback)
    }
  })

  it.each(integers)(
    '%s (%i) out of its range is refused with its name, its limits, the value and the default',
    (...row) => {
      const [name, fallback, min, max] = row
      for (const value of [min - 1, max + 1]) {
        expect(refusal({ [name]: String(value) })).toBe(
          `${name} must be an integer from ${min} to ${max}, not "${value}". Without it, ${fallback} is used.`,
        )
      }
    },
  )

  it.each(['80.5', '1e3', '0x50', '+80', '-0', ' 80', '80 ', '80\n', 'http', 'NaN', '９０', '99999999999999999999'])(
    'that is written "%s" is refused',
    (text) => {
      expect(refusal({ PORT: text })).toContain(`PORT must be an integer from 0 to 65535, not "${text}".`)
    },
  )
})

describe('HOST', () => {
  it('is this machine alone when it is not set, or empty', () => {
    expect(readSettings({}).host).toBe('127.0.0.1')
    expect(readSettings({ HOST: '' }).host).toBe('127.0.0.1')
  })

  it.each(['127.0.0.1', '127.1.2.3', '::1', 'localhost'])('may be %s without a token', (HOST) => {
    expect(readSettings({ HOST })).toMatchObject({ host: HOST, pushToken: null })
  })

  it.each(['0.0.0.0', '::', '192.0.2.1', '10.0.0.1', 'example.org', '127.0.0.1.example.org', 'localhost.example.org'])(
    'is refused as %s without a token, with both ways out, and taken with one',
    (HOST) => {
      expect(refusal({ HOST })).toBe(
        `HOST is ${HOST}, so others could reach this server and push: ` +
          'set SSE_PUSH_TOKEN as well (openssl rand -hex 16 makes one), or unset HOST.',
      )
      expect(refusal({ HOST, SSE_PUSH_TOKEN: '' })).toContain(`HOST is ${HOST}`)
      expect(readSettings({ HOST, SSE_PUSH_TOKEN: TOKEN })).toMatchObject({ host: HOST, pushToken: TOKEN })
    },
  )
})

describe('a server that is reached through a proxy', () => {
  it.each([
    [{ ALLOWED_HOSTS: 'app.example,www.app.example' }, 'ALLOWED_HOSTS is app.example,www.app.example'],
    [{ TRUST_PROXY: '1' }, 'TRUST_PROXY is 1'],
    [{ TRUST_PROXY: '1', HOST: '127.0.0.1', ALLOWED_HOSTS: 'app.example' }, 'ALLOWED_HOSTS is app.example'],
  ])('is refused without a token, and taken with one: %o', (env, reason) => {
    expect(refusal(env)).toMatch(new RegExp(`^${reason}, so others .* set SSE_PUSH_TOKEN as well .*$`))
    expect(readSettings({ ...env, SSE_PUSH_TOKEN: TOKEN }).pushToken).toBe(TOKEN)
  })
})

describe('SSE_PUSH_TOKEN', () => {
  it.each([
    'short',
    TOKEN.slice(1),
    'sixteen letters-',
    `${TOKEN}\n`,
    '                ',
    `${TOKEN}é`,
    '一二三四五六七八九十一二三四五六',
  ])('is refused as "%s", which no header could bring, and not repeated', (SSE_PUSH_TOKEN) => {
    expect(refusal({ SSE_PUSH_TOKEN })).toBe(
      'SSE_PUSH_TOKEN must have 16 or more letters, digits and signs of ASCII, and no space.',
    )
  })

  it('may be set on this machine too, and have any sign', () => {
    const all = Array.from({ length: 94 }, (_, n) => String.fromCharCode(33 + n)).join('')
    for (const SSE_PUSH_TOKEN of [TOKEN, all]) expect(readSettings({ SSE_PUSH_TOKEN }).pushToken).toBe(SSE_PUSH_TOKEN)
  })
})

describe('ALLOWED_HOSTS', () => {
  const read = (ALLOWED_HOSTS: string): readonly string[] =>
    readSettings({ ALLOWED_HOSTS, SSE_PUSH_TOKEN: TOKEN }).allowedHosts

  it.each([
    ['', []],
    [' , ', []],
    ['a.example', ['a.example']],
    [' a.example , b.example,, ', ['a.example', 'b.example']],
    ['A.Example,my_host,192.0.2.1', ['a.example', 'my_host', '192.0.2.1']],
    // As browsers send it.
    ['münchen.example', ['xn--mnchen-3ya.example']],
  ])('is a list, from "%s"', (text, names) => {
    expect(read(text)).toEqual(names)
    expect(readSettings({}).allowedHosts).toEqual([])
  })

  it.each([
    'https://a.example:443/',
    'https://a.example',
    'a.example:443',
    'a.example/path',
    'a.example.',
    '*',
    '*.example',
    '.example',
    'a b',
    'user@a.example',
    'a.example?',
    '[::1]',
    '%61.example',
  ])('is refused with the reason when one of it, "%s", can never be a Host', (name) => {
    expect(refusal({ ALLOWED_HOSTS: `b.example,${name}`, SSE_PUSH_TOKEN: TOKEN })).toBe(
      'ALLOWED_HOSTS must be host names separated by commas, such as "app.example,www.app.example", ' +
        `without scheme, port or path: "${name}" is not one.`,
    )
  })
})

describe('a setting', () => {
  it('that names a database has a form that can be one', () => {
    for (const url of ['file:a.db', 'file:/a/b.db', ':memory:', 'libsql://db.example', 'http://127.0.0.1:8080'])
      expect(readSettings({ DATABASE_URL: url }).database).toEqual({ url, authToken: null })
    for (const url of ['a.db', 'file:', 'postgres://db.example', 'libsql:'])
      expect(() => readSettings({ DATABASE_URL: url })).toThrow(/^DATABASE_URL must be/)
  })

  it('that name a model are complete, and their errors do not repeat the key', () => {
    const OPENAI_BASE_URL = 'http://127.0.0.1:11434/v1'
    expect(readSettings({ OPENAI_API_KEY: 'k', OPENAI_MODEL: 'm' }).openAi).toBeNull()
    expect(readSettings({ OPENAI_BASE_URL, OPENAI_MODEL: 'm' }).openAi).toEqual({
      baseUrl: OPENAI_BASE_URL,
      apiKey: null,
      model: 'm',
    })
    expect(() => readSettings({ OPENAI_BASE_URL })).toThrow(/OPENAI_MODEL/)
    expect(() => readSettings({ OPENAI_BASE_URL: 'localhost:11434', OPENAI_MODEL: 'm' })).toThrow(
      /^OPENAI_BASE_URL must/,
    )
    const badKey = { OPENAI_BASE_URL, OPENAI_MODEL: 'm', OPENAI_API_KEY: 'secret key' }
    expect(() => readSettings(badKey)).toThrow(/^OPENAI_API_KEY (?!.*secret)/)
  })

  it('is where Redis is, and what is refused is not repeated: it may contain a password', () => {
    expect(readSettings({}).redisUrl).toBeNull()
    for (const url of ['redis://localhost:6379', 'rediss://user:password@redis.example:6379/1'])
      expect(readSettings({ REDIS_URL: url }).redisUrl).toBe(url)
    for (const url of ['localhost:6379', 'http://:password@redis.example', 'redis://', 'password'])
      expect(refusal({ REDIS_URL: url })).toMatch(/^REDIS_URL must be (?!.*:\/\/:password)/)
  })
})

describe('the documentation', () => {
  const file = (name: string): string => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
  /** The settings that are no integers. */
  const texts = {
    HOST: '127.0.0.1',
    SSE_PUSH_TOKEN: '',
    ALLOWED_HOSTS: '',
    DATABASE_URL: 'file:data/demo.db',
    DATABASE_AUTH_TOKEN: '',
    OPENAI_BASE_URL: '',
    OPENAI_API_KEY: '',
    OPENAI_MODEL: '',
    REDIS_URL: '',
  }

  it('has all settings in .env.example, with their defaults', () => {
    const lines = [...file('.env.example').matchAll(/^([A-Z_]+)=(.*)$/gm)]
    const examples: Record<string, string> = Object.fromEntries(lines.map(([, name = '', value = '']) => [name, value]))
    const expected = integers.map(([name, fallback]) => [name, String(fallback)])
    expect(examples).toEqual({ ...Object.fromEntries(expected), ...texts })
    expect(lines).toHaveLength(Object.keys(examples).length)
    expect(readSettings(examples)).toEqual(readSettings({}))
  })

  it('has all settings in docs/deploy.md, and those that are no limits in the READMEs', () => {
    const names = Object.keys(texts)
    for (const name of [...names, ...integers.map(([integer]) => integer)])
      expect(file('docs/deploy.md')).toContain(`\`${name}`)
    for (const name of [...names, 'PORT', 'TRUST_PROXY'])
      for (const readme of ['README.md', 'README.zh-CN.md']) expect(file(readme)).toContain(`\`${name}\``)
  })
})

it('says everything in one line', () => {
  const bad = [...integers.map(([name]) => ({ [name]: 'x' })), { HOST: '0.0.0.0' }, { SSE_PUSH_TOKEN: 'x' }]
  for (const env of bad) expect(refusal(env)).toMatch(/^(?!accepted)[^\n]+$/)
})
