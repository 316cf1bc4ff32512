import { once } from 'node:events'
import { describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { channelPaths, greeting } from '../shared/demos/channel'
import { comparisonPaths } from '../shared/demos/comparison'
import { Client, request } from './testing'
import { startApp, subscribe, type TestApp } from './testingApp'
import { startProcess } from './testingProcess'

vi.setConfig({ testTimeout: 60_000 })

const start = (maxConnections: number): Promise<TestApp> =>
  startApp({ http: { maxConnections, requestTimeout: 600_000, keepAliveTimeout: 600_000 } })

/** A connection that sends this text, and nothing more. */
async function connect({ server, port }: TestApp, text = ''): Promise<Client> {
  const accepted = once(server, 'connection')
  const client = new Client(port, text)
  await accepted
  return client
}

const healthz = request('GET', '/healthz')
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': '10' }

describe('one connection too many', () => {
  it('closes the one that has been silent longest, and is answered', async () => {
    const app = await start(3)
    const silent = [await connect(app), await connect(app), await connect(app)]
    for (const client of silent) {
      expect(client.socket.readableEnded).toBe(false)
      const honest = await connect(app, healthz)
      await honest.until(/"ok"/)
      await client.toEnd()
    }
  })

  it.each([
    ['half a head', 'GET / HTTP/1.1\r\nHost:'],
    ['half a body', `${request('POST', channelPaths.push, FORM)}half`],
    ['one request, and waits before the next', healthz],
  ])('ends one that has sent %s', async (_what, text) => {
    const app = await start(2)
    const handled = once(app.server, 'request')
    const waiting = await connect(app, text)
    if (text.includes('\r\n\r\n')) await handled
    if (text === healthz) await waiting.until(/"ok"/)
    await connect(app)
    await (await connect(app, healthz)).until(/"ok"/)
    await waiting.toEnd()
  })

  it('closes the one that has been idle longest, not the oldest', async () => {
    const app = await start(2)
    const [oldest, idle] = [await connect(app), await connect(app)]
    oldest.socket.write(healthz)
    await oldest.until(/"ok"/)
    await connect(app)
    await idle.toEnd()
    expect(oldest.socket.readableEnded).toBe(false)
  })

  it('is closed itself, and no stream or WebSocket is, when all others are in use', async () => {
    const app = await start(4)
    const run = '?run=a-run-of-this-test-00'
    await (await connect(app, request('POST', `${comparisonPaths.run}${run}`, { Connection: 'close' }))).toEnd()
    const streams = [await subscribe(app, 'a'), await subscribe(app, 'a')]
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}${comparisonPaths.webSocket}${run}`)
    await once(socket, 'open')
    const poll = await connect(app, request('GET', `${comparisonPaths.longPolling}${run}&after=1000000`))
    await vi.waitFor(() => expect(app.streams.size).toBe(4))

    const more = await connect(app, healthz)
    await more.toEnd()
    expect(more.received).toBe('')
    await app.hub.publish('a', { data: 'on' })
    for (const stream of streams) await stream.until(/data: on\n\n/)
    await once(socket, 'message')
    expect(poll.socket.readableEnded).toBe(false)
    socket.close()
  })
})

describe('500 silent connections', () => {
  it('do not keep an honest client out, if the process may open 400 files', async () => {
    const command = 'ulimit -n 400; exec "$0" --import tsx server/main.ts'
    const { listening, printed } = startProcess({}, ['sh', '-c', command, process.execPath])
    const port = await listening()
    const stream = new Client(port, request('GET', `${channelPaths.subscribe}?id=a`))
    await stream.until(new RegExp(greeting))

    const silent = Array.from({ length: 500 }, () => new Client(port))
    await Promise.all(silent.map(({ socket }) => once(socket, 'connect')))
    for (const path of ['/healthz', '/', '/healthz'])
      expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(200)
    const pushed = await fetch(`http://127.0.0.1:${port}${channelPaths.push}?id=a&content=on`)
    expect(pushed.status).toBe(200)
    await stream.until(/data: on\n\n/)
    expect(printed.stderr).toBe('')
  })
})

describe('an idle connection', () => {
  it('is kept for longer than a request may take, and longer than load balancers keep it', async () => {
    const app = await startApp({ http: { requestTimeout: 200 } })
    const client = await connect(app, healthz)
    expect(await client.until(/"ok"/)).toContain('\r\nKeep-Alive: timeout=75\r\n')
    await new Promise((resolve) => setTimeout(resolve, 600))
    client.received = ''
    client.socket.write(healthz)
    await client.until(/"ok"/)
  })
})
