import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { describe, expect, it, vi } from 'vitest'
import { channelPaths, greeting } from '../../shared/demos/channel'
import { Client, eventsOf, request } from '../testing'
import { errorOf, startApp, streamOf, type Headers, type Reply, type TestApp, type TestAppOptions } from '../testingApp'

vi.setConfig({ testTimeout: 30_000 })

const { subscribe, push, over, cut } = channelPaths
const GOODBYE = 'Connection closed by server'
const ID = /^[\w-]{12}:\d+$/

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

interface ChannelApp extends TestApp {
  subscribe: (query?: string, headers?: Headers) => Client
  /** Pushes to channel `a`, and resolves to the position. */
  push: (content: string, id?: string) => Promise<string>
  over: (id?: string) => Promise<string>
}

async function start(options: TestAppOptions = {}): Promise<ChannelApp> {
  const app = await startApp(options)
  const position = async (path: string, body: Record<string, string>): Promise<string> => {
    const headers = { Accept: 'application/json' }
    const answer = await app.fetch(path, { method: 'POST', headers, body: new URLSearchParams(body) })
    expect(answer.status).toBe(200)
    return ((await answer.json()) as { position: string }).position
  }
  return {
    ...app,
    subscribe: (query = '', headers) => app.open(`${subscribe}?id=a${query}`, headers),
    push: (content, id = 'a') => position(push, { id, content }),
    over: (id = 'a') => position(over, { id }),
  }
}

/** The events of a stream, as a browser reads them, after its greeting. */
function eventsIn(client: Client): EventSourceMessage[] {
  const events: EventSourceMessage[] = []
  createParser({ onEvent: (event) => void events.push(event) }).feed(streamOf(client))
  expect(events.shift()).toMatchObject({ event: undefined, data: greeting })
  return events
}

const dataIn = (client: Client): string[] => eventsIn(client).map(({ data }) => data)
/** The fields of the first event. */
const greetingOf = (client: Client): Record<string, string> | undefined => eventsOf(streamOf(client))[0]

async function greeted(client: Client): Promise<Client> {
  await client.until(new RegExp(`data: ${greeting}\n\n`))
  return client
}

describe('a channel', () => {
  it('is these bytes: the greeting with the position before everything, the events with theirs, close', async () => {
    const app = await start()
    const client = await greeted(app.subscribe())
    const [one, two, end] = [await app.push('one'), await app.push('two\nlines'), await app.over()]
    await client.toEnd()
    expect([one, two, end].map((position) => position.split(':')[1])).toEqual(['1', '2', '3'])
    expect(streamOf(client)).toBe(
      `id: 0\ndata: ${greeting}\n\n` +
        `id: ${one}\ndata: one\n\nid: ${two}\ndata: two\ndata: lines\n\n` +
        `event: close\nid: ${end}\ndata: ${GOODBYE}\n\n`,
    )
  })

  it('keeps messages pushed before anybody subscribed', async () => {
    const app = await start()
    await app.push('1')
    await app.push('2')
    const client = app.subscribe()
    await client.until(/data: 2\n\n/)
    expect(dataIn(client)).toEqual(['1', '2'])
  })

  it('delivers to all its subscribers, and to nobody else', async () => {
    const app = await start()
    const clients = await Promise.all([1, 2, 3].map(() => greeted(app.subscribe())))
    const other = await greeted(app.open(`${subscribe}?id=b`))
    await app.push('1')
    clients.push(await greeted(app.subscribe()))
    await app.push('2')
    await app.over()
    for (const client of clients) {
      await client.toEnd()
      expect(dataIn(client)).toEqual(['1', '2', GOODBYE])
    }
    await app.over('b')
    await other.toEnd()
    expect(dataIn(other)).toEqual([GOODBYE])
  })

  it('sends no old messages to a subscriber with from=now', async () => {
    const app = await start()
    await app.push('old')
    const client = await greeted(app.subscribe('&from=now'))
    await app.push('new')
    await client.until(/new\n\n/)
    expect(dataIn(client)).toEqual(['new'])
    expect(greetingOf(client)?.['id']).toMatch(/:1$/)
  })

  it.each(['oldest', '', 'NOW', 'yesterday'])('sends all stored messages with from=%s', async (from) => {
    const app = await start()
    await app.push('old')
    const client = app.subscribe(`&from=${from}`)
    await client.until(/old\n\n/)
    expect(dataIn(client)).toEqual(['old'])
  })

  it.each([
    ['nothing', ''],
    ['a line feed', '\n'],
    ['lines', 'a\nb\n\nc\n'],
    ['field names', 'data: x\nid: 1\n: y'],
    ['leading spaces', '  x'],
    ['other scripts', '订阅 שלום ನಮಸ್ಕಾರ 👩‍👩‍👧 e\u0301'],
    ['what a query and a form escape', 'a&b=c+d%20e#f?g"h\'i'],
  ])('carries %s unchanged, by GET, form and JSON', async (_what, content) => {
    const app = await start()
    const params = { id: 'a', content }
    const JSON_TYPE = { 'Content-Type': 'application/json' }
    const answers = [
      await app.fetch(`${push}?${new URLSearchParams(params)}`),
      await app.fetch(push, { method: 'POST', body: new URLSearchParams(params) }),
      await app.fetch(push, { method: 'POST', body: JSON.stringify(params), headers: JSON_TYPE }),
      await app.fetch(`${push}?id=a`, { method: 'POST', body: JSON.stringify({ content }), headers: JSON_TYPE }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const client = app.subscribe()
    await greeted(client)
    await app.over()
    await client.toEnd()
    // A newcomer starts in a new epoch: only earlier subscribers read the old one.
    expect(dataIn(client)).toEqual([content, content, content, content, GOODBYE])
  })

  it.each([
    ['*/*', 'text/plain; charset=utf-8'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/plain; charset=utf-8'],
    ['application/json', 'application/json; charset=utf-8'],
    ['application/json, text/plain;q=0.5', 'application/json; charset=utf-8'],
    ['image/png', 'text/plain; charset=utf-8'],
  ])('answers a change by a client that accepts %s with %s', async (Accept, type) => {
    const app = await start()
    const isText = type.startsWith('text')
    const expectAnswer = ({ status, headers, body }: Reply, words: string, n: number): void => {
      expect([status, headers['content-type']]).toEqual([200, type])
      if (isText) expect(body).toBe(words)
      else expect(JSON.parse(body)).toEqual({ position: expect.stringMatching(new RegExp(`:${n}$`)) as string })
    }
    expectAnswer(await app.ask('GET', `${push}?id=a&content=x`, { Accept }), 'pushed!\n', 1)
    expectAnswer(await app.ask('POST', `${over}?id=a`, { Accept }), 'over!\n', 2)
  })
})

describe('a channel without events', () => {
  it('costs nothing: 2,000 HEAD requests on one connection and 200 streams leave room for a push', async () => {
    const app = await start({ log: { maxChannels: 1 }, limits: { perAddress: 1_000 } })
    const client = new Client(app.port)
    for (let n = 0; n < 2_000; n++) {
      client.received = ''
      client.socket.write(request('HEAD', `${subscribe}?id=${n}&lastEventId=e:1`))
      expect(await client.until(/\r\n\r\n$/)).toMatch(/^HTTP\/1\.1 200 /)
    }
    const streams = await Promise.all(Array.from({ length: 200 }, (_, n) => greeted(app.open(`${subscribe}?id=${n}`))))
    expect([app.log.size, app.log.bytes, app.hub.size]).toEqual([0, 0, 200])
    for (const stream of streams) stream.socket.destroy()
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([0, 0]))
    await app.push('there is room')
  })

  it('greets with 0, and from there everything is resumed', async () => {
    const app = await start()
    const client = await greeted(app.subscribe())
    expect(greetingOf(client)).toEqual({ id: '0', data: greeting })
    client.socket.destroy()
    await app.push('1')
    await app.push('2')
    const back = app.subscribe('', { 'Last-Event-ID': '0' })
    await back.until(/data: 2\n\n/)
    expect(dataIn(back)).toEqual(['1', '2'])
  })

  it('can be ended for its subscribers', async () => {
    const app = await start()
    const client = await greeted(app.subscribe())
    await app.over()
    await client.toEnd()
    expect(dataIn(client)).toEqual([GOODBYE])
  })
})

describe('a server that has no room for one more channel', () => {
  it('can still end a channel without events for its subscribers', async () => {
    const app = await start({ log: { maxChannels: 1 } })
    await app.push('it is full', 'other')
    const client = await greeted(app.subscribe())
    expect(await app.over()).toMatch(/:1$/)
    await client.toEnd()
    expect(dataIn(client)).toEqual([GOODBYE])
  })
})

describe('a client that pushes more than its share', () => {
  it('is refused, and another can still push: 75 times 64 KiB of line feeds', async () => {
    // Other limits are raised, so that only the log's own applies.
    const pushToken = 'a-token-of-many-letters'
    const bytes = 2 ** 24
    const log = { maxTotalBytes: bytes }
    const app = await start({ trustProxy: 1, pushToken, channelsPerAddress: 1_000, pushesPerMinute: 1_000, log })
    const pushAs = (client: string, id: string, content: string): Promise<Reply> => {
      const headers = {
        Authorization: `Bearer ${pushToken}`,
        'X-Forwarded-For': client,
        'Content-Type': 'application/json',
      }
      return app.ask('POST', push, headers, JSON.stringify({ id, content }))
    }
    const statuses: number[] = []
    let refused: Reply | undefined
    for (let n = 0; n < 75; n++) {
      const reply = await pushAs('192.0.2.1', `heavy-${n}`, '\n'.repeat(65_536))
      statuses.push(reply.status)
      if (reply.status !== 200) refused ??= reply
    }
    expect(errorOf(refused ?? { status: 0, headers: {}, body: '' })).toEqual({
      status: 503,
      code: 'capacity-bytes',
      message: 'You hold as many bytes as are still free: send less, or try again later.',
    })
    expect(refused?.headers['retry-after']).toBe('30')
    expect(app.log.bytes).toBeLessThan(bytes + 2 ** 20)
    expect(await pushAs('192.0.2.2', 'light', 'x')).toMatchObject({ status: 200 })
    for (let n = 0; n < 5; n++) expect((await pushAs('192.0.2.3', `other-${n}`, '\n'.repeat(65_536))).status).toBe(200)
  }, 120_000)
})

describe('a channel that has ended', () => {
  it.each([
    ['the header', (id: string) => ['', { 'Last-Event-ID': id }] as const],
    ['the query', (id: string) => [`&lastEventId=${encodeURIComponent(id)}`, {}] as const],
    ['the header before a query of long ago', (id: string) => ['&lastEventId=x:1', { 'Last-Event-ID': id }] as const],
  ])('answers 204 to a client that reconnects, by %s', async (_how, carry) => {
    const app = await start()
    const client = await greeted(app.subscribe())
    await app.push('1')
    await app.over()
    await client.toEnd()
    const close = eventsIn(client).at(-1)
    expect(close).toMatchObject({ event: 'close', data: GOODBYE, id: expect.stringMatching(ID) as string })
    const [query, headers] = carry(close?.id ?? '')
    expect(await app.ask('GET', `${subscribe}?id=a${query}`, headers)).toMatchObject({ status: 204, body: '' })
  })

  it('still sends the rest to a client cut off before the end, even while a new epoch is living', async () => {
    const app = await start()
    const [first] = [await app.push('1'), await app.push('2'), await app.over(), await app.push('new')]
    const client = app.subscribe('', { 'Last-Event-ID': first })
    await client.toEnd()
    expect(dataIn(client)).toEqual(['2', GOODBYE])
  })

  it.each(['a subscriber', 'a push'])(
    'begins a new life with %s, in which nothing of the old is shown',
    async (who) => {
      const app = await start()
      const old = [await app.push('old'), await app.over()]
      if (who === 'a push') await app.push('first')
      const client = await greeted(app.subscribe())
      const position = await app.push('new')
      await client.until(/data: new\n\n/)
      expect(dataIn(client)).toEqual(who === 'a push' ? ['first', 'new'] : ['new'])
      expect(old.map((id) => id.split(':')[0])).not.toContain(position.split(':')[0])
    },
  )

  it('cannot be ended again', async () => {
    const app = await start()
    await app.push('1')
    await app.over()
    expect(errorOf(await app.ask('POST', `${over}?id=a`))).toEqual({
      status: 404,
      code: 'no-channel',
      message: 'There is no channel a: subscribe or push first.',
    })
  })

  it('leaves no stream and no subscribed channel', async () => {
    const app = await start()
    const clients = await Promise.all([1, 2, 3].map(() => greeted(app.subscribe())))
    expect([app.streams.size, app.hub.size]).toEqual([3, 1])
    await app.over()
    for (const client of clients) await client.toEnd()
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([0, 0]))
  })
})

describe('a subscription with a timeout', () => {
  it('asks for a quick reconnect, ends without close, and resumes without a loss, greeted each time', async () => {
    const app = await start()
    const seen: string[] = []
    let lastId = ''
    let pushed = 0
    for (let round = 0; round < 3; round++) {
      await app.push(String(++pushed)) // While nobody is subscribed.
      const client = app.subscribe('&timeout=150', lastId === '' ? {} : { 'Last-Event-ID': lastId })
      await greeted(client)
      await app.push(String(++pushed)) // While it is subscribed, or just after.
      await client.toEnd()
      expect(streamOf(client)).toMatch(/^retry: 1000\n\n(id: .*\n)?data: 连接成功\n\n/)
      const events = eventsIn(client)
      expect(events.map(({ event }) => event)).not.toContain('close')
      seen.push(...events.map(({ data }) => data))
      lastId = events.at(-1)?.id ?? lastId
    }
    const rest = await greeted(app.subscribe('', { 'Last-Event-ID': lastId }))
    await app.over()
    await rest.toEnd()
    expect([...seen, ...dataIn(rest)]).toEqual([...Array.from({ length: pushed }, (_, n) => String(n + 1)), GOODBYE])
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it('is greeted with an id only if it has none of its own', async () => {
    const app = await start()
    const position = await app.push('1')
    const newcomer = await greeted(app.subscribe())
    expect(greetingOf(newcomer)).toEqual({ id: position.replace(/:1$/, ':0'), data: greeting })
    const back = await greeted(app.subscribe('', { 'Last-Event-ID': position }))
    expect(greetingOf(back)).toEqual({ data: greeting })
    const empty = await greeted(app.subscribe('&lastEventId='))
    expect(greetingOf(empty)).toEqual(greetingOf(newcomer))
  })

  it('that saw only its greeting resumes from there', async () => {
    const app = await start()
    const client = await greeted(app.subscribe('&from=now'))
    client.socket.destroy()
    const id = greetingOf(client)?.['id'] ?? ''
    await app.push('missed')
    const back = app.subscribe(`&from=now&lastEventId=${encodeURIComponent(id)}`)
    await back.until(/missed\n\n/)
    expect(dataIn(back)).toEqual(['missed'])
  })

  it('keeps its timer no longer than its client', async () => {
    const app = await start()
    const client = await greeted(app.subscribe('&timeout=3600000'))
    client.socket.destroy()
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([0, 0]))
  })
})

describe('a channel whose connections are cut', () => {
  it('loses those of all its subscribers, abruptly and without close, and no other channel loses any', async () => {
    const app = await start()
    const clients = await Promise.all([1, 2, 3].map(() => greeted(app.subscribe())))
    const other = await greeted(app.open(`${subscribe}?id=b`))
    const answer = await app.ask('POST', `${cut}?id=a`, { Accept: 'application/json' })
    expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { connections: 3 }])
    for (const client of clients) {
      await client.toEnd()
      expect(streamOf(client)).not.toContain('close')
    }
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([1, 1]))
    await app.push('still there', 'b')
    await other.until(/still there\n\n/)
  })

  it('ends no response as if it were complete: HTTP clients see a broken response', async () => {
    const app = await start()
    const client = await greeted(app.subscribe())
    await app.ask('GET', `${cut}?id=a`)
    expect(await client.toEnd()).not.toMatch(/\r\n0\r\n\r\n$/)
  })

  it('is resumed by each subscriber without a loss, even of messages pushed while nobody was connected', async () => {
    const app = await start()
    const before = await Promise.all([1, 2].map(() => greeted(app.subscribe())))
    await app.push('1')
    await before[0]?.until(/data: 1\n\n/)
    expect(await app.ask('POST', `${cut}?id=a`)).toMatchObject({ status: 200, body: 'cut!\n' })
    await Promise.all(before.map((client) => client.toEnd()))
    await app.push('2')
    const after = before.map((client) => {
      // One of them may have been cut before it got the first.
      const id = eventsOf(streamOf(client)).at(-1)?.['id'] ?? ''
      return app.subscribe('', { 'Last-Event-ID': id })
    })
    await app.over()
    await Promise.all(after.map((client) => client.toEnd()))
    const all = before.map((client, n) => [client, after[n]].flatMap((part) => (part ? dataIn(part) : [])))
    expect(all).toEqual([
      ['1', '2', GOODBYE],
      ['1', '2', GOODBYE],
    ])
  })

  it('answers how many there were each time, and 404 without subscribers, even if events are stored', async () => {
    const app = await start()
    const cuts = async (): Promise<unknown> =>
      JSON.parse((await app.ask('POST', `${cut}?id=a`, { Accept: 'application/json' })).body)
    await greeted(app.subscribe())
    await app.push('kept')
    expect(await cuts()).toEqual({ connections: 1 })
    expect(errorOf(await app.ask('POST', `${cut}?id=a`))).toEqual({
      status: 404,
      code: 'no-subscriber',
      message: 'Nobody is subscribed to channel a: subscribe first.',
    })
    await greeted(app.subscribe())
    await greeted(app.subscribe())
    expect(await cuts()).toEqual({ connections: 2 })
  })

  it('does not count clients that have left, were ended, or only sent HEAD', async () => {
    const app = await start()
    const stays = await greeted(app.subscribe())
    const leaves = await greeted(app.subscribe())
    leaves.socket.destroy()
    await app.ask('HEAD', `${subscribe}?id=a`)
    await eventually(() => expect(app.streams.size).toBe(1))
    expect((await app.ask('POST', `${cut}?id=a`, { Accept: 'application/json' })).body).toBe('{"connections":1}')
    await stays.toEnd()
    await greeted(app.subscribe('&timeout=100')).then((client) => client.toEnd())
    expect(await app.ask('POST', `${cut}?id=a`)).toMatchObject({ status: 404 })
  })
})
