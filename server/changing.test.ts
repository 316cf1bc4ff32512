import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths, greeting } from '../shared/demos/channel'
import { comparisonPaths } from '../shared/demos/comparison'
import { request } from './testing'
import {
  errorOf,
  eventsIn,
  startApp,
  streamOf,
  subscribe,
  subscribeByHand,
  type Headers,
  type TestApp,
} from './testingApp'

vi.setConfig({ testTimeout: 60_000 })

/** The state-changing routes. */
const CHANGING = [channelPaths.push, channelPaths.over, channelPaths.cut, byHandPaths.push, byHandPaths.over] as const

const query = '?id=a&content=x'
const token = 'a-token-of-23-characters'
const authorized = { Authorization: `Bearer ${token}` }

/** An application in which nothing may change, with one subscriber of each kind. */
async function untouched(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp(options)
  const [channel, hand] = [await subscribe(app, 'a'), await subscribeByHand(app, 'a')]
  const expectUntouched = async (): Promise<void> => {
    // Anything published earlier would come before these.
    await app.hub.over('a')
    await channel.toEnd()
    expect(eventsIn(channel).map(({ event = '', data }) => event || data)).toEqual([greeting, 'close'])
    expect(streamOf(hand)).toBe('订阅成功\n')
    expect(app.streams.size).toBeGreaterThan(0)
  }
  return { app, expectUntouched }
}

/** Expects every route to take this request, each in an application of its own. */
async function expectTaken(
  method: string,
  headers: Headers,
  options: Parameters<typeof startApp>[0] = {},
): Promise<void> {
  for (const path of CHANGING) {
    const app = await startApp(options)
    const clients = [await subscribe(app, 'a'), await subscribeByHand(app, 'a')]
    expect(await app.ask(method, path + query, headers), `${method} ${path}`).toMatchObject({ status: 200 })
    for (const client of clients) client.socket.destroy()
  }
}

/** Expects every route to refuse this request with 403 and this code, and nothing to have changed. */
async function expectForbidden(code: string, methods: string[], headers: Headers, options = {}): Promise<void> {
  const { app, expectUntouched } = await untouched(options)
  for (const path of [...CHANGING, comparisonPaths.run, comparisonPaths.stop])
    for (const method of methods)
      expect(errorOf(await app.ask(method, path + query, headers)), `${method} ${path}`).toMatchObject({
        status: 403,
        code,
      })
  await expectUntouched()
}

const WAYS: [string, string[], Headers, object][] = [
  ['without a token', ['GET', 'POST'], {}, {}],
  ['with the token', ['POST'], authorized, { pushToken: token }],
]

describe.each(WAYS)('a state-changing request, %s,', (_way, methods, credentials, options) => {
  it.each(['cross-site', 'same-site', 'Same-Origin', 'anything', 'none, cross-site', ''])(
    'is refused when Sec-Fetch-Site is "%s"',
    async (site) => {
      // Not even with an Origin of its own.
      const headers = { ...credentials, 'Sec-Fetch-Site': site, Origin: 'http://localhost' }
      await expectForbidden('cross-site', methods, headers, options)
    },
  )

  it.each([
    'null',
    'http://evil.example',
    'http://localhost:3001',
    'http://localhost.evil.example',
    'http://127.0.0.1',
    'localhost',
    'http://localhost, http://evil.example',
    '',
  ])('is refused without Sec-Fetch-Site when the Origin is "%s"', async (Origin) => {
    await expectForbidden('cross-site', methods, { ...credentials, Origin }, options)
  })

  it.each(['http://evil.example/page', 'http://localhost:3001/', 'http://localhost.evil.example/', 'about:blank', 'x'])(
    'is refused without Sec-Fetch-Site and Origin when the Referer is "%s"',
    async (Referer) => {
      await expectForbidden('cross-site', methods, { ...credentials, Referer }, options)
    },
  )

  it.each<Headers>([
    { 'Sec-Purpose': 'prefetch' },
    { 'Sec-Purpose': 'prefetch;prerender', 'Sec-Fetch-Site': 'none' },
    { 'Sec-Purpose': 'prefetch;anonymous-client-ip' },
    { Purpose: 'prefetch' },
    { 'X-Purpose': 'preview' },
    { 'X-Moz': 'prefetch' },
  ])('is refused when a browser asks ahead: %o', async (headers) => {
    await expectForbidden('prefetch', methods, { ...credentials, ...headers }, options)
  })

  it.each<Headers>([
    {},
    { 'Sec-Fetch-Site': 'same-origin' },
    { 'Sec-Fetch-Site': 'none' },
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'http://elsewhere.example' },
    { Origin: 'http://localhost' },
    { Host: 'localhost:3000', Origin: 'http://localhost:3000' },
    { Host: 'LOCALHOST:3000', Origin: 'http://localhost:3000' },
    { Host: '[::1]:3000', Origin: 'http://[::1]:3000' },
    { Origin: 'https://localhost' },
    { Referer: 'http://localhost/page' },
    { Referer: '' },
    { Referer: 'http://elsewhere.example/', 'Sec-Fetch-Site': 'same-origin' },
    { Referer: 'http://elsewhere.example/', Origin: 'http://localhost' },
  ])('is done for %o', async (headers) => {
    for (const method of methods) await expectTaken(method, { ...credentials, ...headers }, options)
  })

  it.each(['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'])(
    'is not done by %s, which is told what to use',
    async (method) => {
      const { app, expectUntouched } = await untouched(options)
      for (const path of CHANGING) {
        const reply = await app.ask(method, path + query, credentials)
        expect(reply.headers['allow']).toBe(methods.join(', '))
        expect(reply.status).toBe(405)
        const message = `Use ${methods.join(' or ')}.`
        if (method === 'HEAD') expect(reply.body).toBe('')
        else expect(errorOf(reply)).toEqual({ status: 405, code: 'method', message })
      }
      await expectUntouched()
    },
  )
})

describe('a state-changing request, without a token,', () => {
  it.each<Headers>([
    { Forwarded: 'for=192.0.2.1' },
    { 'X-Forwarded-For': '192.0.2.1' },
    { 'X-Forwarded-For': '' },
    { 'X-Forwarded-Proto': 'https' },
    { 'x-forwarded-anything': 'x' },
    { 'X-Forwarded': 'for=192.0.2.1' },
    { 'X-Original-Host': 'app.example' },
    { 'X-Real-IP': '192.0.2.1' },
    { 'X-Client-IP': '192.0.2.1' },
    { 'True-Client-IP': '192.0.2.1' },
    { 'CF-Connecting-IP': '192.0.2.1' },
    { 'X-ProxyUser-IP': '192.0.2.1', 'CDN-Loop': 'cdn.example' },
    { Via: '1.1 proxy' },
  ])('is refused when it came through a proxy that says so: %o', async (headers) => {
    await expectForbidden('not-local', ['GET', 'POST'], headers)
  })

  it.each(['192.0.2.1', '10.0.0.1:3000', '[2001:db8::1]', '[::ffff:127.0.0.1]', '0.0.0.0', 'app.example'])(
    'is refused under another name than those of this machine: %s',
    async (Host) => {
      await expectForbidden('not-local', ['GET', 'POST'], { Host }, { allowedHosts: ['app.example'] })
    },
  )

  it.each(['localhost', 'localhost:3000', '127.0.0.1', '127.0.0.1:3000', '127.1.2.3', '[::1]', '[::1]:3000'])(
    'is done under %s',
    async (Host) => {
      await expectTaken('GET', { Host })
    },
  )

  it('is refused in HTTP/1.0, which proxies speak by default, with the reason', async () => {
    const { app, expectUntouched } = await untouched()
    for (const path of CHANGING)
      for (const method of ['GET', 'POST']) {
        const reply = await app.exchange(request(method, path + query).replace('HTTP/1.1', 'HTTP/1.0'))
        expect(errorOf(reply), path).toEqual({
          status: 403,
          code: 'not-local',
          message: 'This is only for the machine that the server runs on.',
        })
      }
    await expectUntouched()
  })

  it('tells the operator which setting allows it, once for many', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const app = await startApp()
    for (let n = 0; n < 3; n++) await app.ask('POST', channelPaths.push + query, { Via: '1.1 proxy' })
    expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringMatching(/^SSE_PUSH_TOKEN: is not set, .*proxy/))
    warned.mockRestore()
  })
})

describe('a state-changing request, with a token set,', () => {
  it.each([
    ['no Authorization', undefined],
    ['another token', 'Bearer another-token-of-30-characters'],
    ['another token of the same length', `Bearer ${token.slice(0, -1)}X`],
    ['the token and one character more', `Bearer ${token}x`],
    ['the token without its last character', `Bearer ${token.slice(0, -1)}`],
    ['the token in another case', `Bearer ${token.toUpperCase()}`],
    ['the token twice', `Bearer ${token} ${token}`],
    ['the token without a scheme', token],
    ['another scheme', `Basic ${token}`],
    ['a scheme that begins alike', `Bearers ${token}`],
    ['no token', 'Bearer '],
    ['the digest of nothing', 'Bearer e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ])('is refused with %s', async (_what, authorization) => {
    const { app, expectUntouched } = await untouched({ pushToken: token })
    const headers: Headers = authorization === undefined ? {} : { Authorization: authorization }
    for (const path of CHANGING) {
      const reply = await app.ask('POST', `${path}${query}&token=${token}&access_token=${token}`, headers)
      expect(errorOf(reply), path).toEqual({
        status: 401,
        code: 'token',
        message: 'Send the push token as Authorization: Bearer <token>.',
      })
      expect(reply.headers['www-authenticate']).toBe('Bearer')
    }
    await expectUntouched()
  })

  it.each([`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`])(
    'is accepted with "%s"',
    async (Authorization) => {
      await expectTaken('POST', { Authorization }, { pushToken: token })
    },
  )

  it('is refused as GET, even with the token: an image on another page is a GET', async () => {
    const { app, expectUntouched } = await untouched({ pushToken: token })
    for (const path of CHANGING)
      expect(errorOf(await app.ask('GET', path + query, authorized))).toEqual({
        status: 405,
        code: 'method',
        message: 'Use POST.',
      })
    await expectUntouched()
  })

  it('is accepted behind proxies and under served names', async () => {
    const options = { pushToken: token, trustProxy: 1, allowedHosts: ['app.example'] }
    const proxied = { Host: 'app.example', 'X-Forwarded-For': '192.0.2.1', Via: '1.1 proxy' }
    await expectTaken('POST', { ...authorized, ...proxied, Origin: 'https://app.example' }, options)
  })
})

describe('the rate of changes', () => {
  const push = (app: TestApp, headers: Headers = {}): Promise<number> =>
    app.ask('POST', channelPaths.push + query, { ...authorized, ...headers }).then(({ status }) => status)

  it('is limited for all routes together: 429 beyond it, and the streams continue', async () => {
    const { app, expectUntouched } = await untouched({ pushesPerMinute: 3, pushToken: token })
    for (let n = 0; n < 3; n++) await app.ask('POST', `${channelPaths.push}?id=other&content=x`, authorized)
    for (const path of CHANGING) {
      // Without a trusted proxy, naming another client does not help.
      const forged = { 'X-Forwarded-For': '192.0.2.1', Forwarded: 'for=192.0.2.1' }
      const reply = await app.ask('POST', path + query, { ...authorized, ...forged })
      const retryAfter = Number(reply.headers['retry-after'])
      expect(errorOf(reply)).toEqual({
        status: 429,
        code: 'rate',
        message: `More than 3 requests a minute from your address: wait ${retryAfter} s.`,
      })
      expect(retryAfter).toBeGreaterThan(0)
      expect(retryAfter).toBeLessThanOrEqual(60)
    }
    await expectUntouched()
  })

  it('counts wrong tokens too, so that guessing is limited', async () => {
    const app = await startApp({ pushesPerMinute: 2, pushToken: token })
    const statuses: number[] = []
    for (let n = 0; n < 3; n++) statuses.push(await push(app, { Authorization: 'Bearer wrong' }))
    expect(statuses).toEqual([401, 401, 429])
    expect(await push(app)).toBe(429)
  })

  it('is limited per client behind a trusted proxy, whose own entry names the client', async () => {
    const app = await startApp({ pushesPerMinute: 1, trustProxy: 1, pushToken: token })
    const from = (addresses: string): Promise<number> => push(app, { 'X-Forwarded-For': addresses })
    expect(await from('192.0.2.1')).toBe(200)
    expect(await from('192.0.2.2')).toBe(200)
    expect(await from('198.51.100.7, 192.0.2.1')).toBe(429)
  })

  it('is shared by all addresses of an IPv6 /64', async () => {
    const app = await startApp({ pushesPerMinute: 1, trustProxy: 1, pushToken: token })
    const from = (address: string): Promise<number> => push(app, { 'X-Forwarded-For': address })
    expect(await from('2001:db8::1')).toBe(200)
    expect(await from('2001:db8::ffff:1')).toBe(429)
    expect(await from('2001:db8:0:1::1')).toBe(200)
  })

  it('is free again after a minute, whatever happens to the wall clock', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'], now: Date.now() })
    onTestFinished(() => void vi.useRealTimers())
    const app = await startApp({ pushesPerMinute: 1, pushToken: token })
    expect([await push(app), await push(app)]).toEqual([200, 429])
    vi.setSystemTime(Date.now() - 3_600_000)
    const reply = await app.ask('POST', channelPaths.push + query, authorized)
    expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(60)
    vi.advanceTimersByTime(59_000)
    expect(await push(app)).toBe(429)
    vi.advanceTimersByTime(1_000)
    expect(await push(app)).toBe(200)
  })
})
