import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createApp } from '../app'
import { Hub } from '../sse/hub'
import { MemoryEventLog } from '../sse/memoryEventLog'
import { Streams } from '../sse/streams'
import { Client, eventsOf, request, serve } from '../testing'
import type { TimestampsOptions } from './timestamps'

// The original, with its calls recorded.
vi.mock('node:timers/promises', { spy: true })

const MINUTE = 60_000

async function start(timestamps: TimestampsOptions = { count: 4, interval: MINUTE }) {
  const streams = new Streams({}, { retry: false })
  const log = new MemoryEventLog()
  onTestFinished(() => log.close())
  const port = await serve(createApp({ streams, hub: new Hub(log), timestamps }).request)
  const ask = (query = '', headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/sse${query}`, { headers })
  return { streams, port, ask }
}

/** The first event of a stream that need not end. */
async function first(answer: Response): Promise<Record<string, string> | undefined> {
  expect(answer.status).toBe(200)
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let body = ''
  while (!body.includes('\n\n')) body += decoder.decode((await reader.read()).value)
  await reader.cancel()
  return eventsOf(body)[0]
}

/** The server's wall clock. */
function wall(time: number): string {
  const at = new Date(time)
  const two = (n: number): string => String(n).padStart(2, '0')
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')
  return `${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}`
}

const goodbye = (run: number, n: number): object => ({
  id: `${run}:${n}`,
  event: 'close',
  data: 'Connection closed by server',
})

describe('GET /sse', () => {
  it('sends the first timestamp at once, in the zone of the server, as yyyy-MM-dd HH:mm:ss', async () => {
    const { ask } = await start()
    const before = Date.now()
    const event = await first(await ask())
    const run = Number(/^(\d{13}):1$/.exec(event?.['id'] ?? '')?.[1])
    expect(run).toBeGreaterThanOrEqual(before)
    expect(run).toBeLessThanOrEqual(Date.now())
    expect(event).toEqual({ id: `${run}:1`, data: wall(run) })
    expect(event?.['data']).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  })

  it('sends every timestamp of its run at its time, then close with an id of its own, and ends', async () => {
    const { ask } = await start({ count: 5, interval: 30 })
    const answer = await ask()
    const events = eventsOf(await answer.text())
    const run = Number.parseInt(events[0]?.['id'] ?? '', 10)
    // A timer may be a millisecond early.
    expect(Date.now()).toBeGreaterThanOrEqual(run + 4 * 30 - 1)
    expect(events).toEqual([
      ...[0, 1, 2, 3, 4].map((n) => ({ id: `${run}:${n + 1}`, data: wall(run + n * 30) })),
      goodbye(run, 6),
    ])
  })

  it('waits for the time of the second timestamp', async () => {
    const { port } = await start()
    const client = new Client(port, request('GET', '/sse'))
    await client.until(/:1\ndata: .*\n\n/)
    for (let n = 0; n < 20; n++) await turn()
    expect(client.received).not.toContain(':2\n')
  })

  it('has 30 timestamps by default', async () => {
    const { ask } = await start({})
    const run = Date.now() - MINUTE
    const events = eventsOf(await (await ask('', { 'Last-Event-ID': `${run}:28` })).text())
    expect(events).toEqual([
      { id: `${run}:29`, data: wall(run + 28_000) },
      { id: `${run}:30`, data: wall(run + 29_000) },
      goodbye(run, 31),
    ])
  })

  it('has a run of its own for every client', async () => {
    const { ask } = await start({ count: 1, interval: MINUTE })
    const now = vi.spyOn(Date, 'now')
    now.mockReturnValue(1_700_000_000_000)
    const one = await (await ask()).text()
    now.mockReturnValue(1_700_000_000_001)
    const two = await (await ask()).text()
    now.mockRestore()
    expect(eventsOf(one)[0]).toMatchObject({ id: '1700000000000:1' })
    expect(eventsOf(two)[0]).toMatchObject({ id: '1700000000001:1' })
  })

  it('stops its work when the client leaves: no stream and no timer is left', async () => {
    const waits = vi.mocked(sleep).mockClear()
    const { port, streams } = await start()
    const clients = [1, 2, 3].map(() => new Client(port, request('GET', '/sse')))
    for (const client of clients) await client.until(/data: /)
    await vi.waitFor(() => expect(waits).toHaveBeenCalledTimes(3))
    expect(streams.size).toBe(3)
    expect(waits.mock.settledResults.map(({ type }) => type)).toEqual(['incomplete', 'incomplete', 'incomplete'])

    clients[0]?.socket.resetAndDestroy()
    clients[1]?.socket.destroy()
    clients[2]?.socket.end()
    await vi.waitFor(() => expect(streams.size).toBe(0))
    await vi.waitFor(() =>
      expect(waits.mock.settledResults.map(({ type }) => type)).toEqual(['rejected', 'rejected', 'rejected']),
    )
  })

  it('answers HEAD with the headers of a stream, and no stream', async () => {
    const { port, streams } = await start()
    const received = await new Client(port, request('HEAD', '/sse', { Connection: 'close' })).toEnd()
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\nContent-Type: text\/event-stream; charset=utf-8\r\n/)
    expect(received).toMatch(/\r\n\r\n$/)
    await vi.waitFor(() => expect(streams.size).toBe(0))
  })
})

describe('a client that reconnects', () => {
  const run = Date.now() - 10 * MINUTE
  const rest = [3, 4].map((n) => ({ id: `${run}:${n}`, data: wall(run + (n - 1) * MINUTE) }))

  it.each<[string, string, Record<string, string>]>([
    ['the header', '', { 'Last-Event-ID': `${run}:2` }],
    ['the query', `?lastEventId=${run}:2`, {}],
    ['the query, escaped', `?lastEventId=${encodeURIComponent(`${run}:2`)}`, {}],
    ['the header before the query', `?lastEventId=${run}:4`, { 'Last-Event-ID': `${run}:2` }],
  ])('resumes after the id in %s, with due timestamps at once', async (_where, query, headers) => {
    const { ask } = await start()
    expect(eventsOf(await (await ask(query, headers)).text())).toEqual([...rest, goodbye(run, 5)])
  })

  it('waits for timestamps that are not due yet', async () => {
    const { port } = await start()
    const recent = Date.now() - 1.5 * MINUTE
    const client = new Client(port, request('GET', '/sse', { 'Last-Event-ID': `${recent}:1` }))
    await client.until(/:2\ndata: .*\n\n/)
    for (let n = 0; n < 20; n++) await turn()
    expect(client.received.match(/^id: .*$/gm)).toEqual([`id: ${recent}:2`])
    expect(client.received).toContain(`\ndata: ${wall(recent + MINUTE)}\n\n`)
  })

  it('after the last timestamp gets only close', async () => {
    const { ask } = await start()
    expect(eventsOf(await (await ask('', { 'Last-Event-ID': `${run}:4` })).text())).toEqual([goodbye(run, 5)])
  })

  it.each<[string, string, string, Record<string, string>]>([
    ['by the header', 'GET', '', { 'Last-Event-ID': `${run}:5` }],
    ['by the query', 'GET', `?lastEventId=${run}:5`, {}],
    ['for HEAD', 'HEAD', '', { 'Last-Event-ID': `${run}:5` }],
  ])('after close gets 204, which keeps it from coming again (%s)', async (_where, method, query, headers) => {
    const { port, streams } = await start()
    const received = await new Client(
      port,
      request(method, `/sse${query}`, { ...headers, Connection: 'close' }),
    ).toEnd()
    expect(received).toMatch(/^HTTP\/1\.1 204 No Content\r\n[^]*\r\n\r\n$/)
    expect(streams.size).toBe(0)
  })

  const future = Date.now() + 24 * 60 * MINUTE
  const foreign = [
    '',
    'x',
    '1',
    ':',
    `${run}`,
    `${run}:`,
    `:2`,
    `${run}:0`,
    `${run}:-1`,
    `-${run}:2`,
    `${run}:02`,
    `${run}:2.5`,
    `${run}:2e0`,
    `${run}:0x2`,
    `${run}: 2`,
    `${run}:2:3`,
    `${run}:2,${run}:3`,
    `${run}:6`,
    `${run}:999999999`,
    `${run}:99999999999999999999`,
    `${'9'.repeat(400)}:2`,
    '0000000000000:2',
    '9999999999999:2',
    `${future}:2`,
    `${future}:5`,
    '1700000000:2',
    'NaN:2',
    'Infinity:2',
    '__proto__:2',
  ]
  it.each(foreign)('with an id that no run of ours has, "%s", gets a fresh run', async (id) => {
    const { ask } = await start()
    const before = Date.now()
    const events = [await first(await ask('', { 'Last-Event-ID': id }))]
    if (id !== '') events.push(await first(await ask(`?lastEventId=${encodeURIComponent(id)}`)))
    for (const event of events) {
      expect(event?.['id']).toMatch(/^\d{13}:1$/)
      expect(Number.parseInt(event?.['id'] ?? '', 10)).toBeGreaterThanOrEqual(before)
    }
  })

  it.each([
    '?lastEventId=',
    '?lastEventId',
    `?lastEventId=${run}:2&lastEventId=${run}:3`,
    `?lastEventId[]=${run}:2`,
    `?lastEventId[x]=${run}:2`,
    `?lasteventid=${run}:2`,
    '?lastEventId=%E0%A4%A',
    `?lastEventId=${run}:2%0A`,
    `?lastEventId=%00${run}:2`,
  ])('with the query %s gets a fresh run', async (query) => {
    const { port } = await start()
    const before = Date.now()
    const received = await new Client(port, request('GET', `/sse${query}`)).until(/\nid: \d+:\d+\n|id: .*\n/)
    expect(received).toMatch(/id: \d{13}:1\n/)
    expect(Number(/id: (\d+)/.exec(received)?.[1])).toBeGreaterThanOrEqual(before)
  })

  it('with a bad header and a good query gets a fresh run, since the header wins', async () => {
    const { ask } = await start()
    expect(await first(await ask(`?lastEventId=${run}:2`, { 'Last-Event-ID': 'x' }))).toMatchObject({
      id: expect.stringMatching(/:1$/) as string,
    })
  })

  it('to a server whose clock is a little behind continues its run', async () => {
    const { ask } = await start()
    const ahead = Date.now() + 3_000
    expect(eventsOf(await (await ask('', { 'Last-Event-ID': `${ahead}:4` })).text())).toEqual([goodbye(ahead, 5)])
  })
})

describe('a clock that is set', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  const setClock = (time: number): void => {
    vi.useFakeTimers({ toFake: ['Date'], now: time })
  }

  it.each([
    ['back', -60 * MINUTE],
    ['ahead', 60 * MINUTE],
  ])('%s by an hour changes nothing for an open stream: it keeps its rhythm', async (_how, change) => {
    const { port } = await start({ count: 4, interval: 50 })
    const client = new Client(port, request('GET', '/sse'))
    const run = Number(/id: (\d+):1\n/.exec(await client.until(/id: \d+:1\n/))?.[1])
    setClock(Date.now() + change)
    const began = performance.now()
    await client.until(/event: close/)
    // The fourth was due 150 ms after the first, which may have come some milliseconds before.
    expect(performance.now() - began).toBeGreaterThan(75)
    const ids = [...client.received.matchAll(/^id: (.*)$/gm)].map(([, id]) => id)
    expect(ids).toEqual([1, 2, 3, 4, 5].map((n) => `${run}:${n}`))
  })

  it('back by an hour neither delays a client that reconnects, nor repeats an event', async () => {
    const { ask } = await start({ count: 4, interval: 5 })
    const run = Date.now()
    setClock(run - 60 * MINUTE)
    const events = eventsOf(await (await ask('', { 'Last-Event-ID': `${run}:2` })).text())
    expect(events.map(({ id }) => id)).toEqual([3, 4, 5].map((n) => `${run}:${n}`))
  })
})
