import type { RequestListener, ServerResponse } from 'node:http'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { byHandPaths } from '../../shared/demos/byHand'
import { Client, request } from '../testing'
import { errorOf, replyOf, startApp, streamOf, type TestApp, type TestAppOptions } from '../testingApp'

vi.setConfig({ testTimeout: 30_000 })

const { subscribe, push, over } = byHandPaths
const GREETING = '订阅成功\n'

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

interface ByHandApp extends TestApp {
  /** A subscriber that has received its greeting. */
  subscriber: (id?: string) => Promise<Client>
  push: (content: string, id?: string) => Promise<number>
  over: (id?: string) => Promise<number>
  /** The subscribers' responses, in order of arrival. */
  responses: ServerResponse[]
}

async function start(options: TestAppOptions = {}): Promise<ByHandApp> {
  const app = await startApp({ byHand: { timeout: 600_000 }, ...options })
  const responses: ServerResponse[] = []
  app.server.on('request', (req, res) => {
    if (req.url?.startsWith(subscribe)) responses.push(res)
  })
  return {
    ...app,
    responses,
    subscriber: async (id = 'a') => {
      const client = app.open(`${subscribe}?id=${id}`)
      await client.until(new RegExp(GREETING))
      return client
    },
    push: async (content, id = 'a') =>
      (await app.fetch(push, { method: 'POST', body: new URLSearchParams({ id, content }) })).status,
    over: async (id = 'a') => (await app.fetch(`${over}?id=${id}`)).status,
  }
}

/** A subscriber that does not read, and whose kernel buffers, megabytes in size, are full. */
async function deaf(app: ByHandApp): Promise<{ client: Client; res: ServerResponse }> {
  const client = await app.subscriber()
  client.socket.pause()
  const res = app.responses.at(-1)
  if (!res) throw new Error('There is no subscriber.')
  while (res.writableLength === 0 && !res.writableEnded) {
    res.write('x'.repeat(60_000))
    for (let n = 0; n < 5; n++) await turn()
  }
  return { client, res }
}

describe('a subscription by hand', () => {
  it('is these bytes: the greeting, each content and a line feed, and over', async () => {
    const app = await start()
    const client = new Client(app.port, request('GET', `${subscribe}?id=a`))
    await client.until(/订阅成功/)
    for (const content of ['one', '', 'zwei 连', 'a\nb']) expect(await app.push(content)).toBe(200)
    expect(await app.over()).toBe(200)
    const { headers, body } = replyOf(await client.until(/\r\n0\r\n\r\n$/))
    expect(headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'transfer-encoding': 'chunked',
    })
    expect(body).toBe(
      'd\r\n订阅成功\n\r\n4\r\none\n\r\n1\r\n\n\r\n9\r\nzwei 连\n\r\n4\r\na\nb\n\r\n5\r\nover\n\r\n0\r\n\r\n',
    )
  })

  it('answers push and over in words', async () => {
    const app = await start()
    await app.subscriber()
    expect(await app.ask('GET', `${push}?id=a&content=x`)).toMatchObject({ status: 200, body: 'pushed!\n' })
    expect(await app.ask('POST', `${over}?id=a`)).toMatchObject({ status: 200, body: 'over!\n' })
  })

  it('has no events for EventSource, until one is pushed with its framing', async () => {
    const app = await start()
    const client = await app.subscriber()
    await app.push('plain')
    await app.push('data: framed\n\n')
    await app.over()
    await client.toEnd()
    const blocks = streamOf(client).split('\n\n')
    const dataOf = (block: string): string[] => block.split('\n').filter((line) => line.startsWith('data:'))
    expect(blocks.flatMap(dataOf)).toEqual(['data: framed'])
    expect(streamOf(client)).toBe(`${GREETING}plain\ndata: framed\n\n\nover\n`)
  })

  it('receives only its own id', async () => {
    const app = await start()
    const [a, b] = [await app.subscriber('a'), await app.subscriber('b')]
    await app.push('for b', 'b')
    await app.over('b')
    await b.toEnd()
    expect(streamOf(b)).toBe(`${GREETING}for b\nover\n`)
    expect(streamOf(a)).toBe(GREETING)
  })

  it('replaces an earlier one, which receives nothing more, and whose end is not its own', async () => {
    const app = await start()
    const [first, second] = [await app.subscriber(), await app.subscriber()]
    await app.push('1')
    await second.until(/1\n/)
    first.socket.destroy()
    await eventually(() => expect(app.streams.size).toBe(1))
    expect(await app.push('2')).toBe(200)
    await app.over()
    await second.toEnd()
    expect(streamOf(first)).toBe(GREETING)
    expect(streamOf(second)).toBe(`${GREETING}1\n2\nover\n`)
  })

  it('is needed: without one, push and over are a 404 that says what to do', async () => {
    const app = await start()
    const refusal = {
      status: 404,
      code: 'no-subscriber',
      message: 'Nobody is subscribed to a: subscribe first.',
    }
    const nobody = async (): Promise<void> => {
      expect(errorOf(await app.ask('GET', `${push}?id=a&content=x`))).toEqual(refusal)
      expect(errorOf(await app.ask('POST', `${over}?id=a`))).toEqual(refusal)
    }
    await nobody()
    await app.subscriber('b')
    await nobody()
    const client = await app.subscriber()
    await app.over()
    await client.toEnd()
    await nobody()
  })

  it('ends after its timeout, and leaves nothing behind', async () => {
    const app = await start({ byHand: { timeout: 100 } })
    const client = await app.subscriber()
    await client.toEnd()
    expect(streamOf(client)).toBe(GREETING)
    await eventually(() => expect(app.streams.size).toBe(0))
    expect(await app.push('x')).toBe(404)
  })

  it('that has ended leaves its connection open', async () => {
    const app = await start()
    const client = new Client(app.port, request('GET', `${subscribe}?id=a`))
    await client.until(/订阅成功/)
    await app.over()
    await client.until(/\r\n0\r\n\r\n$/)
    client.socket.write(request('GET', '/healthz'))
    await client.until(/"ok"/)
  })

  it('of a client that leaves, in any way, leaves nothing behind', async () => {
    const app = await start()
    const leave = [
      (client: Client) => client.socket.destroy(),
      (client: Client) => client.socket.resetAndDestroy(),
      (client: Client) => client.socket.end(),
    ]
    for (const [n, how] of leave.entries()) how(await app.subscriber(`a${n}`))
    await eventually(() => expect(app.streams.size).toBe(0))
    for (const n of leave.keys()) expect(await app.push('x', `a${n}`)).toBe(404)
  })

  it('of a client that is gone before it is greeted has nobody to push to', async () => {
    const app = await start()
    // A request takes some turns of the event loop to reach its route. The client leaves during these.
    const listeners = app.server.listeners('request') as RequestListener[]
    app.server.removeAllListeners('request').once('request', (req, res) => {
      res.once('close', () => {
        for (const listener of listeners) {
          listener(req, res)
          app.server.on('request', listener)
        }
      })
      req.socket.destroy()
    })
    await app.open(`${subscribe}?id=a`).toEnd()
    await eventually(() => expect(app.server.listeners('request')).toEqual(listeners))
    expect(await app.push('x')).toBe(404)
    expect(app.streams.size).toBe(0)
  })

  it('is not started by HEAD, which gets the headers and replaces nobody', async () => {
    const app = await start()
    const client = await app.subscriber()
    const { status, headers, body } = await app.ask('HEAD', `${subscribe}?id=a`)
    expect([status, headers['content-type'], body]).toEqual([200, 'text/event-stream; charset=utf-8', ''])
    await app.push('x')
    await client.until(/x\n/)
  })
})

describe('a subscriber by hand that does not read', () => {
  it('is cut off at the limit of waiting bytes, and leaves nothing behind', async () => {
    const app = await start({ maxUnsentBytes: 200_000 })
    const { client, res } = await deaf(app)
    let most = 0
    while (!res.destroyed) {
      await app.push('x'.repeat(60_000))
      most = Math.max(most, res.writableLength)
    }
    expect(most).toBeGreaterThan(100_000)
    expect(most).toBeLessThanOrEqual(200_000)
    await eventually(() => expect(app.streams.size).toBe(0))
    expect(await app.push('x')).toBe(404)
    client.socket.resume()
    await client.toEnd()
    expect(streamOf(client)).not.toContain('over')
  })

  it('accepts no more once it has ended: that is a 404, and the server survives', async () => {
    const app = await start()
    const { client } = await deaf(app)
    expect(await app.push('x')).toBe(200)
    expect(await app.over()).toBe(200)
    expect(await app.push('more')).toBe(404)
    expect(await app.over()).toBe(404)
    client.socket.resume()
    await client.toEnd()
    expect(streamOf(client)).toMatch(/^订阅成功\nx+\nover\n$/)
    await eventually(() => expect(app.streams.size).toBe(0))
  })

  it('makes room for the next as soon as it has ended', async () => {
    const app = await start()
    await deaf(app)
    await app.over()
    const next = await app.subscriber()
    expect(await app.push('hello')).toBe(200)
    await next.until(/hello\n/)
  })

  it('keeps its place for at most twice its timeout', async () => {
    const app = await start({ byHand: { timeout: 1_000 } })
    const { res } = await deaf(app)
    await eventually(() => expect(res.writableEnded).toBe(true))
    await eventually(() => expect(app.streams.size).toBe(0))
  })
})
