import { once } from 'node:events'
import type { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths, greeting } from '../shared/demos/channel'
import { Client, eventsOf, request } from './testing'
import { startApp, streamOf } from './testingApp'
import { startProcess } from './testingProcess'

// They end long before that, even on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 100_000, interval: 10 })

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

/** The process's resources by kind: sockets, timers that keep it alive, and so on. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

describe('1,000 streams', () => {
  const PATHS = ['/sse', '/springSSE', `${channelPaths.subscribe}?id=`, `${byHandPaths.subscribe}?id=`]
  const leave = [
    (client: Client) => client.socket.destroy(),
    (client: Client) => client.socket.resetAndDestroy(),
    (client: Client) => client.socket.end(),
  ]

  it('opened at once, and left by their clients in various ways, leave nothing behind', async () => {
    const app = await startApp({
      limits: { perAddress: 1_000 },
      timestamps: { interval: 600_000 },
      emitter: { interval: 600_000, timeout: 600_000 },
      byHand: { timeout: 600_000 },
    })
    await app.ask('GET', '/healthz')
    await eventually(() => expect(resources()['TCPSocketWrap'] ?? 0).toBe(0))
    const before = resources()

    const clients = range(1_000).map((n) => {
      const path = PATHS[n % PATHS.length] ?? ''
      return app.open(path.endsWith('=') ? `${path}${n % 100}-${n}` : path)
    })
    await Promise.all(clients.map((client) => client.until(/\r\n\r\n[^]*\n/)))
    expect(app.streams.size).toBe(1_000)
    expect(app.hub.size).toBe(250)
    expect(resources()['TCPSocketWrap']).toBe(2_000)

    for (const [n, client] of clients.entries()) leave[n % leave.length]?.(client)
    await eventually(() => expect([app.streams.size, app.hub.size]).toEqual([0, 0]))
    await eventually(() => expect(resources()['TCPSocketWrap'] ?? 0).toBe(0))
    const { Timeout: timers = 0 } = resources()
    expect(timers).toBeLessThanOrEqual((before['Timeout'] ?? 0) + 1) // This wait has one.
    for (const n of [3, 7, 11])
      expect((await app.ask('GET', `${byHandPaths.push}?id=${n}-${n}&content=x`)).status).toBe(404)
  })

  it('opened and closed one after the other leave nothing behind either', async () => {
    const app = await startApp({ limits: { perAddress: 20 }, timestamps: { count: 0 } })
    await Promise.all(
      range(10).map(async () => {
        for (let n = 1; n <= 100; n++) {
          const client = new Client(app.port, request('GET', '/sse'))
          await client.until(/event: close[^]*\r\n0\r\n\r\n$/)
        }
      }),
    )
    await eventually(() => expect(app.streams.size).toBe(0))
    expect(await app.ask('GET', '/healthz')).toMatchObject({ status: 200 })
  })
})

describe('200 subscribers that do not read', () => {
  it('do not delay the others, and have lost nothing when they read again', async () => {
    const app = await startApp({ limits: { perAddress: 300 }, sse: { drainTimeout: 600_000 } })
    const sockets: Socket[] = []
    app.server.on('connection', (socket: Socket) => sockets.push(socket))
    const path = `${channelPaths.subscribe}?id=a`
    const subscribe = async (): Promise<Client> => {
      const client = app.open(path)
      await client.until(new RegExp(greeting))
      return client
    }
    const slow = await Promise.all(range(200).map(subscribe))
    // The socket accepts nothing more, as if its client did not read, but without the megabytes that a kernel would buffer first.
    for (const socket of sockets) socket.cork()
    const readers = await Promise.all(range(5).map(subscribe))

    const contents = range(100).map((n) => `${n}:${'x'.repeat(20_000)}`)
    for (const [n, content] of contents.entries()) {
      const body = new URLSearchParams({ id: 'a', content })
      expect((await app.fetch(channelPaths.push, { method: 'POST', body })).status).toBe(200)
      // Each event has reached all reading clients before the next is pushed.
      await Promise.all(readers.map((reader) => reader.until(new RegExp(`data: ${n}:x+\n\n$`))))
    }
    expect(app.streams.size).toBe(205)
    // None has more waiting than one batch and the events of the tick of its last write.
    const waiting = sockets.slice(0, 200).map((socket) => socket.writableLength)
    expect(Math.min(...waiting)).toBeGreaterThan(0)
    expect(Math.max(...waiting)).toBeLessThan(200_000)

    for (const socket of sockets.slice(0, 200)) socket.uncork()
    await app.ask('GET', `${channelPaths.over}?id=a`)
    for (const client of [...readers, ...slow]) {
      await client.toEnd()
      const [, ...events] = eventsOf(streamOf(client)).map(({ data }) => data)
      // Compared so that a failure does not print it.
      expect(events.length).toBe(101)
      expect(contents.every((content, n) => events[n] === content)).toBe(true)
    }
  })
})

describe('a shutdown under load', () => {
  it('ends 300 streams, each with a hint, while more are being opened, and exits with 0', async () => {
    const { listening, signal, exit } = startProcess({ MAX_STREAMS_PER_ADDRESS: '10000' })
    const port = await listening()

    const paths = ['/sse', `${channelPaths.subscribe}?id=a`]
    const open = (n: number): Client => new Client(port, request('GET', paths[n % paths.length]))
    const clients = range(300).map(open)
    await Promise.all(clients.map((client) => client.until(/\r\n\r\n[^]*data: /)))

    signal('SIGTERM')
    // More clients come, until nobody listens any more.
    const late: Client[] = []
    let refused = false
    while (!refused) {
      const client = open(late.length)
      late.push(client)
      refused = await Promise.race([
        once(client.socket, 'error').then(() => true),
        client.toEnd().then(() => client.received === ''),
        client.until(/\r\n\r\n/).then(() => false),
      ]).catch(() => true)
    }
    expect(await exit).toBe(0)

    for (const client of clients) {
      await client.toEnd()
      expect(client.received).toMatch(/\n\n\r\n[0-9a-f]+\r\nretry: ([234]\d\d\d|5000)\n\n\r\n0\r\n\r\n$/)
    }
    // Clients that came before the signal was handled got streams like the others; the rest were told to come back.
    for (const client of late) {
      await client.toEnd()
      expect(client.received).toMatch(
        /^$|^HTTP\/1\.1 200 [^]*\nretry: \d{4}\n\n\r\n0\r\n\r\n$|^HTTP\/1\.1 503 [^]*capacity-shutdown/,
      )
    }
  }, 60_000)
})
