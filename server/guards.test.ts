import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, vi } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths, greeting } from '../shared/demos/channel'
import { Client, request } from './testing'
import {
  errorOf,
  eventsIn,
  replyOf,
  startApp,
  streamOf,
  subscribe,
  subscribeByHand,
  type Headers,
  type Reply,
  type TestApp,
} from './testingApp'

vi.setConfig({ testTimeout: 60_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 50_000, interval: 5 })

const FORM = 'application/x-www-form-urlencoded'
const JSON_TYPE = 'application/json'
const LIMIT = 65_536

const WAYS = ['query', 'form', 'JSON'] as const
type Way = (typeof WAYS)[number]

/** The state-changing routes. */
const CHANGING = [channelPaths.push, channelPaths.over, channelPaths.cut, byHandPaths.push, byHandPaths.over] as const

/** Characters that some parser takes for the end of a line or of a text, or that are not characters. */
const NASTY = [
  ['CR', '\r'],
  ['LF', '\n'],
  ['CRLF', '\r\n'],
  ['NUL', '\0'],
  ['NEL', '\u0085'],
  ['a line separator', '\u2028'],
  ['a byte order mark', '\uFEFF'],
  ['a lone surrogate', '\uD800'],
] as const

/** Passes parameters to a route in one of the possible ways. */
function give(app: TestApp, path: string, params: Record<string, unknown>, way: Way): Promise<Reply> {
  const encoded = new URLSearchParams(params as Record<string, string>).toString()
  if (way === 'query') return app.ask('GET', `${path}?${encoded}`)
  return way === 'form' ? post(app, path, encoded, FORM) : post(app, path, JSON.stringify(params), JSON_TYPE)
}

function post(app: TestApp, path: string, body: string, type: string, headers: Headers = {}): Promise<Reply> {
  return app.ask('POST', path, { 'Content-Type': type, ...headers }, body)
}

describe('content', () => {
  const attack = (c: string): string =>
    `a${c}${c}event: close${c}id: injected${c}retry: 1${c}data: injected${c}: ${c}${c}z`

  it.each(NASTY.flatMap(([name, c]) => WAYS.map((way) => [name, way, c] as const)))(
    'with %s, by %s, becomes no line of its own in the stream of a subscriber',
    async (name, way, c) => {
      const app = await startApp()
      const victim = await subscribe(app, 'victim')
      const reply = await give(app, channelPaths.push, { id: 'victim', content: attack(c) }, way)
      const refused = name === 'a lone surrogate' && way === 'JSON'
      if (refused) {
        expect(errorOf(reply)).toEqual({
          status: 400,
          code: 'content',
          message: 'content has a lone surrogate, which UTF-8 cannot carry: remove it.',
        })
      } else expect(reply).toMatchObject({ status: 200, body: 'pushed!\n' })
      await app.hub.over('victim')
      await victim.toEnd()

      const lines = streamOf(victim).split(/\r\n|\n|\r/)
      expect(lines.filter((line) => !/^(data: .*|id: ([\w-]{12}:\d+|0)|event: close|)$/su.test(line))).toEqual([])
      // Forms and queries cannot carry a lone surrogate: U+FFFD replaces it.
      const content = attack(c).replace(/\r\n?/g, '\n').toWellFormed()
      expect(eventsIn(victim).map(({ event, data }) => [event, data])).toEqual([
        [undefined, greeting],
        ...(refused ? [] : [[undefined, content]]),
        ['close', 'Connection closed by server'],
      ])
    },
  )

  it.each(['%ED%A0%80', '%FF', '%C0%AF', '%', '%zz', '%E0%A4%A'])(
    'that is no UTF-8 or no escape, %s, becomes replacement characters or itself, in a query and in a form',
    async (escape) => {
      const app = await startApp()
      const victim = await subscribe(app, 'a')
      await app.ask('GET', `${channelPaths.push}?id=a&content=<${escape}>`)
      await post(app, channelPaths.push, `id=a&content=<${escape}>`, FORM)
      await app.hub.over('a')
      await victim.toEnd()
      const [, query, form] = eventsIn(victim)
      expect(query?.data).toMatch(/^<(\uFFFD+|%|%zz|\uFFFD%A)>$/)
      expect([`<${escape}>`, query?.data]).toContain(form?.data)
    },
  )

  const exact: [string, string][] = [
    ['letters', 'x'.repeat(LIMIT)],
    ['line feeds', '\n'.repeat(LIMIT)],
    ['characters that JSON escapes with six', '\0'.repeat(LIMIT)],
    ['characters of three bytes', `${'连'.repeat((LIMIT - 1) / 3)}x`],
  ]
  it.each(exact.flatMap(([what, content]) => (['form', 'JSON'] as const).map((way) => [what, way, content] as const)))(
    'of exactly 64 KiB of %s, by %s, arrives whole; one byte more is refused, and none of it arrives',
    async (_what, way, content) => {
      const app = await startApp()
      const victim = await subscribe(app, 'a')
      expect(await give(app, channelPaths.push, { id: 'a', content }, way)).toMatchObject({ status: 200 })
      expect(errorOf(await give(app, channelPaths.push, { id: 'a', content: `${content}x` }, way))).toEqual({
        status: 413,
        code: 'content',
        message: 'content has 65537 bytes, more than 65536: send less.',
      })
      await app.hub.over('a')
      await victim.toEnd()
      const [, event, close, ...more] = eventsIn(victim)
      // Compared so that a failure does not print it.
      expect(event?.data === content).toBe(true)
      expect(close?.event).toBe('close')
      expect(more).toEqual([])
    },
  )

  it('of more than 64 KiB is refused by hand too, and the subscriber stays connected', async () => {
    const app = await startApp()
    const victim = await subscribeByHand(app, 'a')
    const reply = await give(app, byHandPaths.push, { id: 'a', content: 'x'.repeat(LIMIT + 1) }, 'form')
    expect(errorOf(reply)).toMatchObject({ status: 413, code: 'content' })
    await app.ask('GET', `${byHandPaths.push}?id=a&content=z`)
    await victim.until(/z\n/)
    expect(streamOf(victim)).toBe('订阅成功\nz\n')
  })

  it('may be empty, but must be there', async () => {
    const app = await startApp()
    expect(await app.ask('GET', `${channelPaths.push}?id=a&content=`)).toMatchObject({ status: 200 })
    expect(errorOf(await app.ask('GET', `${channelPaths.push}?id=a`))).toEqual({
      status: 400,
      code: 'content',
      message: 'content is missing: it may be empty, as in content=, but must be there.',
    })
  })
})

describe('an id', () => {
  const message = 'id must have 1 to 64 of the characters A-Z, a-z, 0-9, ".", "_", "~" and "-".'
  const refusal = { status: 400, code: 'id', message }

  it.each(NASTY)('with %s is refused, wherever and however it comes', async (_name, c) => {
    const app = await startApp()
    for (const id of [`a${c}`, `${c}a`, `a${c}data: injected${c}${c}`]) {
      for (const path of CHANGING)
        for (const way of WAYS)
          expect(errorOf(await give(app, path, { id, content: 'x' }, way)), `${path} by ${way}`).toEqual(refusal)
      for (const path of [channelPaths.subscribe, byHandPaths.subscribe])
        expect(errorOf(await give(app, path, { id }, 'query')), path).toEqual(refusal)
    }
    expect([app.log.size, app.streams.size]).toEqual([0, 0])
  })

  it.each(['', ' ', 'a b', 'a/b', '../a', 'a:1', '#emitters', 'ä', '连', 'a%0a', '*', 'x'.repeat(65)])(
    'that is "%s" is refused, and makes no channel',
    async (id) => {
      const app = await startApp()
      for (const path of [...CHANGING, channelPaths.subscribe, byHandPaths.subscribe])
        expect(errorOf(await give(app, path, { id, content: 'x' }, 'query')), path).toEqual(refusal)
      expect([app.log.size, app.streams.size]).toEqual([0, 0])
    },
  )

  it.each(['x'.repeat(64), '.', '..', '-', '~', '__proto__', 'constructor', 'A-z.0_9~'])(
    'that is "%s" is one like any other',
    async (id) => {
      const app = await startApp()
      const [channel, hand] = [await subscribe(app, id), await subscribeByHand(app, id)]
      await give(app, channelPaths.push, { id, content: 'x' }, 'form')
      await give(app, byHandPaths.push, { id, content: 'x' }, 'form')
      await channel.until(/data: x\n\n/)
      await hand.until(/\nx\n/)
    },
  )

  it('that nobody uses has no subscriber by hand and no channel, even if it names a member of Object', async () => {
    const app = await startApp()
    for (const id of ['__proto__', 'constructor', 'toString', 'nobody']) {
      const byHand = errorOf(await app.ask('GET', `${byHandPaths.over}?id=${id}`))
      expect(byHand).toMatchObject({ status: 404, code: 'no-subscriber' })
      const channel = errorOf(await app.ask('GET', `${channelPaths.over}?id=${id}`))
      expect(channel).toMatchObject({ status: 404, code: 'no-channel' })
      const cut = errorOf(await app.ask('GET', `${channelPaths.cut}?id=${id}`))
      expect(cut).toMatchObject({ status: 404, code: 'no-subscriber' })
    }
  })
})

describe('a number', () => {
  const bad = ['', '-1', '+100', '1e3', '0x64', '100.5', ' 100', '１００', 'NaN', 'Infinity', '9'.repeat(400)]
  it.each([
    ['timeout', `${channelPaths.subscribe}?id=a&timeout=`, 'from 100 to 3600000', ['0', '99', '3600001']],
    ['fail', '/springSSE?fail=', 'from 0 to 10', ['11']],
    ['hang', '/springSSE?hang=', 'from 0 to 10', ['11']],
  ])('%s is an integer in its range, or refused with that range', async (name, path, range, beyond) => {
    const app = await startApp()
    for (const text of [...bad, ...beyond, ...NASTY.map(([, c]) => `100${c}`), ...NASTY.map(([, c]) => `5${c}data: x`)])
      expect(errorOf(await app.ask('GET', path + encodeURIComponent(text.toWellFormed()))), text).toEqual({
        status: 400,
        code: name,
        message: `${name} must be an integer ${range}.`,
      })
    expect(app.streams.size).toBe(0)
  })
})

describe('a text that only selects', () => {
  it.each(NASTY)('(from, run, lastEventId) with %s gets into nobody’s stream', async (_name, c) => {
    const app = await startApp({ emitter: { interval: 0, timeout: 60_000 } })
    const log = app.open('/springSSE/log')
    await log.until(/\r\n\r\n/)
    const attack = encodeURIComponent(`x${c}${c}data: injected${c}${c}`.toWellFormed())

    const from = app.open(`${channelPaths.subscribe}?id=a&from=${attack}`)
    await from.until(/\n\n/)
    expect(eventsIn(from)).toMatchObject([{ data: greeting }])

    const resumed = app.open(`${channelPaths.subscribe}?id=a&lastEventId=${attack}`)
    await resumed.until(/stream-reset[^]*\n\n/)
    const [, reset] = eventsIn(resumed)
    expect(JSON.parse(reset?.data ?? '')).toMatchObject({ reason: 'malformed', requested: decodeURIComponent(attack) })

    for (const path of ['/springSSE', '/sse']) {
      const run = app.open(`${path}?run=${attack}&lastEventId=${attack}`)
      await run.until(/data: .*\n\n/)
      expect(eventsIn(run)[0]?.id).toMatch(/^\d{13}:1$/)
      expect(streamOf(run)).not.toContain('injected')
    }
    await log.until(/onCompletion.*\n\n/)
    for (const { data } of eventsIn(log)) expect(JSON.parse(data)).toMatchObject({ run: '' })
    for (const client of [from, resumed, log]) {
      const lines = streamOf(client).split(/\r\n|\n|\r/)
      expect(lines.filter((line) => /^(?!data: |id: |event: |$)|^data: injected/.test(line))).toEqual([])
    }
  })

  it.each(['a\rb', 'a\nb', 'a\r\nb', 'a\0b', 'a\r\n b'])(
    'cannot carry %j in Last-Event-ID: that is no request',
    async (id) => {
      const app = await startApp()
      const reply = await app.exchange(request('GET', `${channelPaths.subscribe}?id=a`, { 'Last-Event-ID': id }))
      expect(errorOf(reply)).toEqual({ status: 400, code: 'request', message: 'This is not an HTTP request.' })
      expect(app.streams.size).toBe(0)
    },
  )
})

describe('a parameter that is not one text', () => {
  const message = (name: string): string => `${name} must be one text: give it once.`

  it.each(['id', 'content'])('is refused when it is given twice: %s', async (name) => {
    const app = await startApp()
    const twice = `id=a&content=x&${name}=b`
    for (const path of [channelPaths.push, byHandPaths.push]) {
      if (path === byHandPaths.push) await subscribeByHand(app, 'a')
      const refusal = { status: 400, code: name, message: message(name) }
      expect(errorOf(await app.ask('GET', `${path}?${twice}`))).toEqual(refusal)
      expect(errorOf(await post(app, path, twice, FORM))).toEqual(refusal)
    }
    expect(app.log.size).toBe(0)
  })

  it.each([
    [`${channelPaths.subscribe}?id=a&id=b`, 'id'],
    [`${channelPaths.subscribe}?id=a&timeout=100&timeout=100`, 'timeout'],
    [`${channelPaths.subscribe}?id=a&from=now&from=now`, 'from'],
    [`${channelPaths.subscribe}?id=a&lastEventId=1&lastEventId=2`, 'lastEventId'],
    [`${byHandPaths.subscribe}?id=a&id=b`, 'id'],
    ['/springSSE?run=a&run=b', 'run'],
    ['/springSSE?fail=1&fail=1', 'fail'],
    ['/springSSE?hang=1&hang=1', 'hang'],
    ['/springSSE/log?lastEventId=1&lastEventId=2', 'lastEventId'],
  ])('is refused in %s', async (path, name) => {
    const app = await startApp()
    expect(errorOf(await app.ask('GET', path))).toEqual({ status: 400, code: name, message: message(name) })
    expect(app.streams.size).toBe(0)
  })

  it.each([[['a']], [{ a: 'a' }], [1], [true], [null], [[]]])('is refused in JSON: %j', async (value) => {
    const app = await startApp()
    for (const name of ['id', 'content']) {
      const reply = await give(app, channelPaths.push, { id: 'a', content: 'x', [name]: value }, 'JSON')
      expect(errorOf(reply)).toEqual({ status: 400, code: name, message: message(name) })
    }
    expect(app.log.size).toBe(0)
  })

  it.each([
    ['id[]=a&content=x', FORM],
    ['id[0]=a&content=x', FORM],
    ['__proto__[id]=a&content=x', FORM],
    ['__proto__=id&content=x', FORM],
    ['{"__proto__":{"id":"a"},"content":"x"}', JSON_TYPE],
    ['{"constructor":{"prototype":{"id":"a"}},"content":"x"}', JSON_TYPE],
    ['[["id","a"],["content","x"]]', JSON_TYPE],
    ['[]', JSON_TYPE],
  ])('is not there at all in %s, and changes no object', async (body, type) => {
    const app = await startApp()
    expect(errorOf(await post(app, channelPaths.push, body, type))).toMatchObject({ status: 400, code: 'id' })
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as Record<string, unknown>)['id']).toBeUndefined()
  })

  it('is taken from the body before the query', async () => {
    const app = await startApp()
    const [a, b] = [await subscribe(app, 'a'), await subscribe(app, 'b')]
    await post(app, `${channelPaths.push}?id=a&content=query`, 'id=b', FORM)
    await b.until(/data: query\n\n/)
    expect(eventsIn(a)).toHaveLength(1)
  })
})

describe('a body', () => {
  it.each([
    ['a form', FORM, `id=a&content=${'x'.repeat(400_000)}`],
    ['JSON', JSON_TYPE, `{"id":"a","content":"${'x'.repeat(400_000)}"}`],
  ])('beyond what any content needs is refused with the limit: %s', async (_what, type, body) => {
    const app = await startApp()
    expect(errorOf(await post(app, channelPaths.push, body, type))).toEqual({
      status: 413,
      code: 'body',
      message: 'The body has more than 394240 bytes: send less.',
    })
    expect(app.log.size).toBe(0)
  })

  it('that is small only while compressed is refused for its real size', async () => {
    const app = await startApp()
    const answer = await app.fetch(channelPaths.push, {
      method: 'POST',
      headers: { 'Content-Type': FORM, 'Content-Encoding': 'gzip' },
      body: new Uint8Array(gzipSync(`id=a&content=${'x'.repeat(50_000_000)}`)),
    })
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ error: { code: 'body' } })
  })

  it.each(['{', '{"id":', '"id"', '7', 'null', 'id=a', '{"id":"a",}', '\uFEFF{}x'])(
    'that is not JSON but says so, %s, is refused',
    async (body) => {
      const app = await startApp()
      const { status, code, message } = errorOf(await post(app, channelPaths.push, body, JSON_TYPE))
      expect([status, code]).toEqual([400, 'body'])
      expect(message).toBe('The body must be a JSON object, as {"id":"a","content":"x"}.')
    },
  )

  it.each(['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/jsonp', 'nonsense'])(
    'of a type that is not read, %s, is refused with those that are',
    async (type) => {
      const app = await startApp()
      for (const path of CHANGING)
        expect(errorOf(await post(app, `${path}?id=a&content=x`, 'id=a&content=x', type))).toEqual({
          status: 415,
          code: 'body',
          message: 'Send the body as application/x-www-form-urlencoded or as application/json.',
        })
      expect(app.log.size).toBe(0)
    },
  )

  it('of a type that is read may have parameters of its own, and a POST may have none', async () => {
    const app = await startApp()
    const reply = await post(app, channelPaths.push, '{"id":"a","content":"x"}', 'Application/JSON; charset=UTF-8')
    expect(reply.status).toBe(200)
    expect((await app.ask('POST', `${channelPaths.push}?id=a&content=x`)).status).toBe(200)
    expect((await app.ask('POST', `${channelPaths.push}?id=a&content=x`, { 'Content-Length': '0' })).status).toBe(200)
  })

  it.each([
    ['a charset', { 'Content-Type': `${FORM}; charset=klingon` }],
    ['an encoding', { 'Content-Type': FORM, 'Content-Encoding': 'klingon' }],
  ])('in %s that is unknown is refused', async (_what, headers) => {
    const app = await startApp()
    const reply = await app.ask('POST', channelPaths.push, headers, 'id=a&content=x')
    expect(errorOf(reply)).toMatchObject({
      status: 415,
      code: 'body',
      message: expect.stringMatching(/^The body must be UTF-8/) as string,
    })
  })

  it('of more fields than any route has is refused with the limit', async () => {
    const app = await startApp()
    const fields = (count: number): string => `id=a&content=x${'&x=1'.repeat(count - 2)}`
    expect((await post(app, channelPaths.push, fields(20), FORM)).status).toBe(200)
    expect(errorOf(await post(app, channelPaths.push, fields(21), FORM))).toEqual({
      status: 413,
      code: 'body',
      message: 'The form has more than 20 fields: send fewer.',
    })
  })

  it('that is not compressed as declared is refused', async () => {
    const app = await startApp()
    const head = request('POST', channelPaths.push, { 'Content-Type': FORM, 'Content-Encoding': 'gzip' })
    const reply = await app.exchange(head.replace(/\r\n$/, 'Content-Length: 3\r\nConnection: close\r\n\r\nabc'))
    expect(errorOf(reply)).toMatchObject({ status: 400, code: 'request' })
  })

  const SMUGGLED = request('POST', `${channelPaths.push}?id=smuggled&content=x`)
  const chunked = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
  it.each([
    ['with a length', { 'Content-Length': String(SMUGGLED.length) }, SMUGGLED],
    ['in chunks', { 'Transfer-Encoding': 'chunked' }, chunked(SMUGGLED)],
  ])(
    'where none belongs, %s, is refused, read as nothing else, and the connection closed',
    async (_how, headers, body) => {
      const app = await startApp()
      for (const path of [
        '/healthz',
        '/sse',
        channelPaths.subscribe,
        channelPaths.push,
        byHandPaths.over,
        '/nowhere',
      ]) {
        for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS']) {
          const reply = await app.exchange(request(method, path, headers) + body)
          expect(errorOf(reply)).toEqual({
            status: 400,
            code: 'body',
            message: `A ${method} has no body here: send it without one, or use POST.`,
          })
          expect(reply.headers).toMatchObject({ connection: 'close' })
        }
      }
      expect([app.log.size, app.streams.size]).toEqual([0, 0])
    },
  )

  it.each([
    { 'Content-Length': '5', 'Transfer-Encoding': 'chunked' },
    { 'Transfer-Encoding': 'chunked', 'Content-Length': '5' },
    { 'Content-Length': '-1' },
    { 'Content-Length': '0x5' },
    { 'Transfer-Encoding': 'chunked, identity' },
  ])('whose length is in doubt is no request: %j', async (headers) => {
    const app = await startApp()
    const text = request('POST', channelPaths.push, { 'Content-Type': FORM, ...headers })
    const reply = await app.exchange(`${text}0\r\n\r\n${SMUGGLED}`)
    expect(errorOf(reply)).toMatchObject({ status: 400, code: 'request' })
    expect(app.log.size).toBe(0)
  })
})

describe('a Last-Event-ID', () => {
  const forged = [
    'x',
    '-1',
    '1',
    ':',
    'a:-1',
    'a:1',
    '__proto__:1',
    `${'9'.repeat(9_000)}:1`,
    'a:1, a:2',
    '<script>',
    'é',
  ]

  it.each(forged)('that is forged, %s, is one stream-reset in a channel, and then what is kept', async (id) => {
    const app = await startApp()
    await app.hub.publish('a', { data: 'old' })
    const byHeader = app.open(`${channelPaths.subscribe}?id=a`, { 'Last-Event-ID': id })
    const byQuery = app.open(`${channelPaths.subscribe}?id=a&lastEventId=${encodeURIComponent(id)}`)
    for (const client of [byHeader, byQuery]) await client.until(/stream-reset[^]*\n\n/)
    await app.hub.publish('a', { data: 'new' })
    for (const client of [byHeader, byQuery]) {
      await client.until(/data: new\n\n/)
      const events = eventsIn(client).map(({ event = '', data }) => event || data)
      expect(events).toEqual([greeting, 'stream-reset', 'old', 'new'])
    }
  })

  it('of another channel is a stream-reset, and reveals nothing of that channel', async () => {
    const app = await startApp()
    const secret = await app.hub.publish('other', { data: 'secret' })
    await app.hub.publish('other', { data: 'secret' })
    await app.hub.publish('mine', { data: 'old' })
    const client = app.open(`${channelPaths.subscribe}?id=mine`, { 'Last-Event-ID': secret })
    await client.until(/stream-reset[^]*\n\n/)
    await app.hub.over('mine')
    await client.toEnd()
    expect(streamOf(client)).not.toContain('data: secret')
    expect(eventsIn(client).map(({ event }) => event)).toEqual([undefined, 'stream-reset', undefined, 'close'])
  })

  it.each(forged)('that is forged, %s, is a fresh run of /sse and of /springSSE', async (id) => {
    const app = await startApp()
    for (const path of ['/sse', '/springSSE']) {
      const clients = [
        app.open(path, { 'Last-Event-ID': id }),
        app.open(`${path}?lastEventId=${encodeURIComponent(id)}`),
        app.open(`${path}?lastEventId=1&lastEventId=2`),
        app.open(`${path}?lastEventId[]=${encodeURIComponent(id)}`),
      ]
      for (const client of clients) {
        await client.until(/\n\n/)
        expect(eventsIn(client)[0]?.id).toMatch(/^\d{13}:1$/)
      }
    }
  })
})

describe('a Host', () => {
  const allowedHosts = ['app.example', 'Other.Example']
  const health = (app: TestApp, host: string): Promise<Reply> => app.ask('GET', '/healthz', { Host: host })

  it.each([
    'localhost',
    'LocalHost',
    'localhost:3000',
    'localhost:',
    '127.0.0.1',
    '127.0.0.1:3000',
    '192.0.2.1',
    '[::1]',
    '[::1]:3000',
    '[2001:DB8::1]:443',
    'app.example',
    'APP.example:443',
    'other.example',
  ])('%s is served', async (host) => {
    const app = await startApp({ allowedHosts })
    expect(await health(app, host)).toMatchObject({ status: 200 })
  })

  it.each([
    'evil.example',
    'evil.example:3000',
    'localhost.evil.example',
    'evil.localhost',
    'localhost.',
    'app.example.evil.example',
    'xapp.example',
    'app.example@evil.example',
    'evil.example#localhost',
    '127.0.0.1.evil.example',
    '127.0.0.1:3000:80',
    '127.1',
    '2130706433',
    '0x7f000001',
    '[localhost]',
    '[127.0.0.1]',
    '[::1',
    '[::1]evil.example',
    '::1',
    '[evil.example]:80',
    '',
    '*',
  ])('"%s" is not, by any route', async (host) => {
    const app = await startApp({ allowedHosts })
    for (const path of ['/', '/healthz', '/sse', '/springSSE', `${channelPaths.subscribe}?id=a`, '/nowhere'])
      expect(errorOf(await app.ask('GET', path, { Host: host })), path).toEqual({
        status: 421,
        code: 'host',
        message: 'This server does not serve that host name.',
      })
    const push = await app.ask('POST', `${channelPaths.push}?id=a&content=x`, { Host: host })
    expect(push.status).toBe(421)
    expect([app.log.size, app.streams.size]).toEqual([0, 0])
  })

  it('is not taken from a proxy’s headers', async () => {
    const app = await startApp({ trustProxy: 1 })
    const forwarded = { Host: 'evil.example', 'X-Forwarded-Host': 'localhost' }
    expect((await app.ask('GET', '/healthz', forwarded)).status).toBe(421)
  })

  it.each(['1.0', '1.1'])('that is missing is a JSON 400 in HTTP/%s', async (version) => {
    const app = await startApp()
    const reply = await app.exchange(`GET /healthz HTTP/${version}\r\nConnection: close\r\n\r\n`)
    expect(errorOf(reply)).toEqual({ status: 400, code: 'host', message: 'A request needs a Host.' })
  })
})

describe('at capacity', () => {
  const STREAMS = [
    '/sse',
    '/springSSE',
    '/springSSE/log',
    `${channelPaths.subscribe}?id=b`,
    `${byHandPaths.subscribe}?id=b`,
  ]

  it.each([
    ['address', { perAddress: 2 }, '2 streams are open from your address: close one, or wait.'],
    ['total', { total: 2 }, '2 streams are open: try again later.'],
  ])(
    '(%s) every stream is refused with 503 and Retry-After, open ones continue, and a place becomes free',
    async (kind, limits, message) => {
      const app = await startApp({ limits })
      const [channel, hand] = [await subscribe(app, 'a'), await subscribeByHand(app, 'a')]
      for (const path of STREAMS) {
        const reply = await app.ask('GET', path)
        expect(errorOf(reply), path).toEqual({ status: 503, code: `capacity-${kind}`, message })
        expect(reply.headers['retry-after']).toBe('30')
      }
      await give(app, channelPaths.push, { id: 'a', content: 'on' }, 'form')
      await give(app, byHandPaths.push, { id: 'a', content: 'on' }, 'form')
      await channel.until(/data: on\n\n/)
      await hand.until(/\non\n/)

      hand.socket.destroy()
      await eventually(() => expect(app.streams.size).toBe(1))
      await app.open('/sse').until(/data: /)
    },
  )

  it('(channels) a push to a new channel is refused, and the old one continues', async () => {
    const app = await startApp({ log: { maxChannels: 1 } })
    const client = await subscribe(app, 'a')
    await give(app, channelPaths.push, { id: 'a', content: 'first' }, 'form')
    const reply = await app.ask('GET', `${channelPaths.push}?id=b&content=x`)
    expect(errorOf(reply)).toEqual({
      status: 503,
      code: 'capacity-channels',
      message: 'There is no room: the log holds at most 1 channels: use a channel that exists, or try again later.',
    })
    expect(reply.headers['retry-after']).toBe('30')
    await give(app, channelPaths.push, { id: 'a', content: 'on' }, 'form')
    await client.until(/data: on\n\n/)
    // Waiting for a channel takes no room.
    await subscribe(app, 'b')
    expect(app.log.size).toBe(1)
  })

  it('(bytes) a push is refused, and the channel can still be ended', async () => {
    const app = await startApp({ log: { maxTotalBytes: 70_000 } })
    const client = await subscribe(app, 'a')
    const content = 'x'.repeat(60_000)
    expect((await give(app, channelPaths.push, { id: 'a', content }, 'form')).status).toBe(200)
    const reply = await give(app, channelPaths.push, { id: 'a', content }, 'form')
    expect(errorOf(reply)).toEqual({
      status: 503,
      code: 'capacity-bytes',
      message: 'There is no room: the log holds at most 70000 bytes: send less, or try again later.',
    })
    expect(reply.headers['retry-after']).toBe('30')
    expect((await app.ask('POST', `${channelPaths.over}?id=a`)).status).toBe(200)
    await client.toEnd()
    expect(eventsIn(client).map(({ event = '', data }) => event || data.length)).toEqual([4, 60_000, 'close'])
  })

  it('(shutdown) every stream is refused with 503 and Retry-After, and open ones end with a hint', async () => {
    const app = await startApp()
    const client = await subscribe(app, 'a')
    await app.streams.end(0)
    for (const path of STREAMS) {
      const reply = await app.ask('GET', path)
      expect(errorOf(reply), path).toEqual({
        status: 503,
        code: 'capacity-shutdown',
        message: 'The server is shutting down: try again in a moment.',
      })
      expect(reply.headers['retry-after']).toBe('5')
    }
    await client.toEnd()
    expect(streamOf(client)).toMatch(/\n\nretry: \d{4}\n\n$/)
  })
})

describe('a client that does not speak HTTP', () => {
  const connections = (app: TestApp): Promise<number> =>
    new Promise((resolve, reject) => {
      app.server.getConnections((error, count) => {
        if (error) reject(error)
        else resolve(count)
      })
    })

  const noHttp = 'This is not an HTTP request.'
  const tooLarge = 'The address and headers are larger than 16 KiB: send the content with POST.'
  const refusals: [string, string, number, string][] = [
    ['garbage', 'garbage\r\n\r\n', 400, noHttp],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, noHttp],
    ['a version that there is not', 'GET / HTTP/9.9\r\n\r\n', 400, noHttp],
    ['an address with a space', 'GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, noHttp],
    ['a header with a space', request('GET', '/', { 'X : Y': 'z' }), 400, noHttp],
    ['20 kB of content', request('GET', `${channelPaths.push}?id=a&content=${'x'.repeat(20_000)}`), 431, tooLarge],
    ['2 MB of headers', request('GET', '/', { Cookie: 'x'.repeat(2_000_000) }), 431, tooLarge],
  ]

  it.each(refusals)('but sends %s gets a JSON error', async (_what, text, status, message) => {
    const app = await startApp()
    const reply = await app.exchange(text)
    expect(errorOf(reply)).toEqual({ status, code: 'request', message })
    expect(reply.headers).toMatchObject({ connection: 'close' })
  })

  it('is disconnected after its error, even if it does not leave', async () => {
    const app = await startApp()
    const clients = refusals.map(([, text]) => new Client(app.port, text))
    for (const client of clients) errorOf(replyOf(await client.toEnd()))
    await eventually(async () => expect(await connections(app)).toBe(0))
  })

  it('fast enough gets a JSON error, and is disconnected if it does not leave; open streams stay', async () => {
    const app = await startApp({ http: { requestTimeout: 300 } })
    const stream = await subscribe(app, 'a')
    const slow = [
      'GET /healthz HTTP/1.1\r\nHost:',
      request('POST', channelPaths.push, { 'Content-Type': FORM, 'Content-Length': '100' }),
      '',
    ]
    const clients = slow.map((text) => new Client(app.port, text))
    for (const client of clients) {
      const message = 'The request took too long to arrive.'
      expect(errorOf(replyOf(await client.toEnd()))).toEqual({ status: 408, code: 'request', message })
    }
    await eventually(async () => expect(await connections(app)).toBe(1))
    await app.hub.publish('a', { data: 'on' })
    await stream.until(/data: on\n\n/)
  })

  it.each([
    ['garbage', 'garbage\r\n\r\n'],
    ['headers that are too large', request('GET', `/${'x'.repeat(20_000)}`)],
    ['a request that never ends', 'GET / HTTP/1.1\r\n'],
    ['garbage behind another request', `${request('POST', `${channelPaths.push}?id=b&content=x`)}garbage\r\n\r\n`],
  ])('behind its stream (%s) is cut off, and nothing is written into that stream', async (_what, text) => {
    const app = await startApp({ http: { requestTimeout: 300 } })
    const client = new Client(app.port, request('GET', `${channelPaths.subscribe}?id=a`))
    await client.until(new RegExp(greeting))
    client.socket.write(text)
    await client.toEnd()
    expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1)
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it.each(['http://[x/sse', '//a@[b/#', 'http://%@a/healthz'])(
    'but asks for an address that cannot be read, %s, gets a JSON 400 with the security headers',
    async (target) => {
      const app = await startApp()
      const reply = await app.ask('GET', target)
      expect(errorOf(reply)).toMatchObject({ status: 400, code: 'request' })
      expect(reply.headers).toMatchObject(SECURITY)
    },
  )

  it('but sends an unknown Expect header gets its answer all the same', async () => {
    const app = await startApp()
    expect(await app.ask('GET', '/healthz', { Expect: 'miracles' })).toMatchObject({ status: 200 })
  })

  it('and asks for a tunnel or another protocol gets none', async () => {
    const app = await startApp()
    const tunnel = replyOf(await new Client(app.port, request('CONNECT', 'evil.example:443')).toEnd())
    expect(errorOf(tunnel)).toEqual({ status: 405, code: 'method', message: 'This is not a proxy.' })
    expect(tunnel.headers['allow']).toBe('GET, HEAD, POST')
    const webSocket = { Connection: 'Upgrade', Upgrade: 'websocket' }
    const refused = new Client(app.port, request('GET', '/healthz', webSocket))
    expect(errorOf(replyOf(await refused.toEnd()))).toMatchObject({ status: 404, code: 'not-found' })
    const http2 = { Connection: 'Upgrade', Upgrade: 'h2c' }
    const client = new Client(app.port, request('GET', '/healthz', http2))
    expect(await client.until(/"ok"/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  })
})

describe('requests that were pipelined', () => {
  it('are answered each in its turn, the refused ones too', async () => {
    const app = await startApp()
    const push = (content: string): string => request('GET', `${channelPaths.push}?id=a&content=${content}`)
    const last = request('GET', `${channelPaths.over}?id=a`, { Connection: 'close' })
    const texts = [push('1'), request('GET', `${channelPaths.push}?id=+&content=2`), push('3'), last]
    const received = await new Client(app.port, texts.join('')).toEnd()
    expect(received.match(/HTTP\/1\.1 \d+/g)?.map((line) => Number(line.slice(9)))).toEqual([200, 400, 200, 200])
    expect(received.match(/(pushed|over)!\n/g)).toEqual(['pushed!\n', 'pushed!\n', 'over!\n'])
  })

  it.each([`${byHandPaths.subscribe}?id=a`, `${channelPaths.subscribe}?id=a`, '/springSSE'])(
    'behind a stream open no second one: %s',
    async (path) => {
      const app = await startApp({ byHand: { timeout: 60_000 } })
      const first = new Client(app.port, request('GET', `${byHandPaths.subscribe}?id=first`) + request('GET', path))
      await first.until(/订阅成功/)
      await eventually(() => expect(app.streams.size).toBe(1))
      await app.ask('GET', `${byHandPaths.over}?id=first`)
      const second = replyOf((await first.until(/pipelined[^]*}}/)).split('\r\n0\r\n\r\n')[1] ?? '')
      expect(errorOf(second)).toMatchObject({ status: 400, code: 'pipelined' })
      expect(app.streams.size).toBe(0)
    },
  )
})

const SECURITY = {
  'content-security-policy':
    "default-src 'self';style-src 'self';img-src 'self' data:;object-src 'none';base-uri 'none';" +
    "form-action 'self';frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'SAMEORIGIN',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

describe('every answer', () => {
  const foreign = { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'POST' }
  const own = { 'Sec-Fetch-Site': 'same-origin' }
  const answers: [string, string, Headers, number][] = [
    ['GET', '/healthz', {}, 200],
    ['GET', '/nowhere', {}, 404],
    ['GET', '/nowhere', { Accept: 'text/html' }, 404],
    ['POST', '/sse', {}, 405],
    ['OPTIONS', '/sse', {}, 405],
    ['OPTIONS', channelPaths.push, {}, 405],
    ['GET', channelPaths.push, own, 400],
    ['GET', `${channelPaths.push}?id=a&content=x`, own, 200],
    ['GET', `${channelPaths.push}?id=a&content=x`, { ...own, Accept: JSON_TYPE }, 200],
    ['GET', channelPaths.push, { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['GET', channelPaths.push, {}, 403],
    ['GET', `${byHandPaths.over}?id=a`, own, 404],
    ['GET', '/healthz', { Host: 'evil.example' }, 421],
    ['GET', '/healthz', { 'Content-Length': '1' }, 400],
    ['POST', channelPaths.push, { ...own, 'Content-Type': 'text/plain', 'Content-Length': '0' }, 400],
    ['HEAD', '/sse', {}, 200],
    ['HEAD', `${channelPaths.subscribe}?id=a`, {}, 200],
    ['HEAD', `${byHandPaths.subscribe}?id=a`, {}, 200],
    ['GET', '/sse', { 'Last-Event-ID': `${Date.now() - 60_000}:31` }, 204],
  ]

  it.each(answers)(
    'has the security headers, and nothing of framework, stack or other origins: %s %s %o',
    async (method, path, headers, status) => {
      const app = await startApp()
      const reply = await app.ask(method, path, { ...foreign, ...headers })
      expect(reply.status).toBe(status)
      expect(reply.headers).toMatchObject(SECURITY)
      const names = Object.keys(reply.headers).join(' ')
      expect(names).not.toMatch(/access-control|powered|server|strict-transport|set-cookie/)
      expect(reply.body).not.toMatch(/express|node_modules|\.[jt]s:\d|\n\s+at |Cannot (GET|POST)|<script/i)
    },
  )

  it.each(['/sse', '/springSSE', '/springSSE/log', `${channelPaths.subscribe}?id=a`, `${byHandPaths.subscribe}?id=a`])(
    'that is a stream has them too: %s',
    async (path) => {
      const app = await startApp()
      const { headers } = replyOf(await app.open(path, foreign).until(/\r\n\r\n/))
      expect(headers).toMatchObject({
        ...SECURITY,
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
      })
      expect(Object.keys(headers).join(' ')).not.toMatch(/access-control|powered|server|content-encoding|set-cookie/)
    },
  )

  it('to HEAD of a stream leaves no stream open, and takes nobody’s place', async () => {
    const app = await startApp()
    const [channel, hand] = [await subscribe(app, 'a'), await subscribeByHand(app, 'a')]
    const paths = [
      '/sse',
      '/springSSE',
      '/springSSE/log',
      `${channelPaths.subscribe}?id=a`,
      `${byHandPaths.subscribe}?id=a`,
    ]
    for (const path of paths) expect(await app.ask('HEAD', path)).toMatchObject({ status: 200, body: '' })
    await eventually(() => expect(app.streams.size).toBe(2))
    await give(app, byHandPaths.push, { id: 'a', content: 'x' }, 'form')
    await hand.until(/\nx\n/)
    expect(eventsIn(channel)).toHaveLength(1)
  })

  it('to a client that is gone before it is written is not an error', async () => {
    const reported = vi.spyOn(console, 'error')
    const app = await startApp()
    const paths = [
      '/healthz',
      '/nowhere',
      '/sse',
      '/springSSE',
      `${channelPaths.subscribe}?id=a`,
      `${byHandPaths.subscribe}?id=a`,
    ]
    for (const path of paths) {
      const client = new Client(app.port)
      await once(client.socket, 'connect')
      client.socket.write(request('GET', path), () => client.socket.resetAndDestroy())
      await client.closed
    }
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([0, 0]))
    expect(await app.ask('GET', '/healthz')).toMatchObject({ status: 200 })
    expect(reported).not.toHaveBeenCalled()
    reported.mockRestore()
  })
})
