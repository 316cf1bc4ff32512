import { describe, expect, it, vi } from 'vitest'
import { failureEvent, timeoutEvent, type EmitterCallback } from '../../shared/demos/emitter'
import { eventsOf, type Client } from '../testing'
import { replyOf, startApp, streamOf, type TestApp } from '../testingApp'
import type { EmitterOptions } from './emitter'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

const FAST = { interval: 5, timeout: 60_000 }
const SLOW = { interval: 60_000, timeout: 600_000 }

interface EmitterApp extends TestApp {
  /** The emitters' callbacks so far, as shown by `/springSSE/log`. */
  calls: () => EmitterCallback[]
}

/** Starts with a reader of the log. */
async function start(emitter: EmitterOptions): Promise<EmitterApp> {
  const app = await startApp({ emitter })
  const log = app.open('/springSSE/log')
  await log.until(/\r\n\r\n/)
  await eventually(() => expect(app.hub.size).toBe(1))
  const calls = (): EmitterCallback[] =>
    eventsOf(streamOf(log)).map(({ event, data }) => {
      expect(event).toBe('callback')
      return JSON.parse(data ?? '') as EmitterCallback
    })
  return { ...app, calls }
}

async function allOf(client: Client): Promise<Record<string, string>[]> {
  await client.toEnd()
  return eventsOf(streamOf(client))
}

/** The expected data of a run, event by event, up to `last`. */
function data(run: number, last: number, first = 1): object[] {
  return Array.from({ length: last - first + 1 }, (_, n) => ({
    id: `${run}:${first + n}`,
    data: expect.stringMatching(
      new RegExp(`^\\[\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\] Data #${first + n - 1}$`),
    ) as string,
  }))
}

const goodbye = (run: number): object => ({ id: `${run}:11`, event: 'close', data: 'Connection closed by server' })
const runOf = (events: Record<string, string>[]): number => Number.parseInt(events[0]?.['id'] ?? '', 10)
const called = (run: string, ...callbacks: [EmitterCallback['callback'], string?][]): EmitterCallback[] =>
  callbacks.map(([callback, detail = '']) => ({ run, callback, detail, time: expect.any(Number) as number }))

describe('GET /springSSE', () => {
  it('sends Data #0 to #9, each with its id, then close, and completes', async () => {
    const app = await start(FAST)
    const events = await allOf(app.open('/springSSE?run=r'))
    const run = runOf(events)
    expect(events).toEqual([...data(run, 10), goodbye(run)])
    await eventually(() => expect(app.calls()).toEqual(called('r', ['opened'], ['onCompletion'])))
  })

  it('sends Data #0 at once, and waits for the time of Data #1', async () => {
    const app = await start(SLOW)
    const client = app.open('/springSSE')
    await client.until(/Data #0\n\n/)
    expect(eventsOf(streamOf(client))).toHaveLength(1)
  })

  it.each([0, 1, 3, 9])('?fail=%i fails after that many events: onError, then onCompletion', async (fail) => {
    const reported = vi.spyOn(console, 'error')
    const app = await start(FAST)
    const client = app.open(`/springSSE?run=r&fail=${fail}`)
    const events = await allOf(client)
    const [failure, close] = events.slice(-2)
    const run = Number.parseInt(close?.['id'] ?? '', 10)
    expect(events).toEqual([...data(run, fail), { event: failureEvent, data: 'The server failed' }, goodbye(run)])
    expect(failure).not.toHaveProperty('id')
    await eventually(() =>
      expect(app.calls()).toEqual(called('r', ['opened'], ['onError', 'failed'], ['onCompletion'])),
    )
    // Internals are not revealed.
    expect(client.received).not.toMatch(/\?fail=|asked|Error|\.ts/)
    expect(JSON.stringify(app.calls())).not.toContain('asked')
    expect(reported).not.toHaveBeenCalled()
    reported.mockRestore()
  })

  it.each([0, 2])(
    '?hang=%i hangs after that many events, and times out: onTimeout, then onCompletion',
    async (hang) => {
      const app = await start({ interval: 5, timeout: 400 })
      const events = await allOf(app.open(`/springSSE?run=r&hang=${hang}`))
      const run = Number.parseInt(events.at(-1)?.['id'] ?? '', 10)
      expect(events).toEqual([...data(run, hang), { event: timeoutEvent, data: 'Timed out after 0.4 s' }, goodbye(run)])
      await eventually(() => expect(app.calls()).toEqual(called('r', ['opened'], ['onTimeout'], ['onCompletion'])))
    },
  )

  it.each(['fail', 'hang'])('?%s=10 is a run like any other', async (name) => {
    const app = await start(FAST)
    const events = await allOf(app.open(`/springSSE?${name}=10`))
    expect(events).toEqual([...data(runOf(events), 10), goodbye(runOf(events))])
  })

  it.each([
    ['resets', (client: Client) => client.socket.resetAndDestroy()],
    ['closes', (client: Client) => client.socket.destroy()],
    ['closes its half', (client: Client) => client.socket.end()],
  ])('calls back onError and onCompletion when its client %s, and leaves nothing behind', async (_how, leave) => {
    const app = await start(SLOW)
    const client = app.open('/springSSE?run=r')
    await client.until(/Data #0\n\n/)
    leave(client)
    await eventually(() =>
      expect(app.calls()).toEqual(called('r', ['opened'], ['onError', 'disconnected'], ['onCompletion'])),
    )
    await eventually(() => expect(app.streams.size).toBe(1))
  })

  it('tells the emitters in the log apart by the names of their runs', async () => {
    const app = await start(FAST)
    await allOf(app.open('/springSSE?run=one'))
    await allOf(app.open('/springSSE?run=two&fail=0'))
    await eventually(() =>
      expect(app.calls()).toEqual([
        ...called('one', ['opened'], ['onCompletion']),
        ...called('two', ['opened'], ['onError', 'failed'], ['onCompletion']),
      ]),
    )
  })

  it.each(['', 'a b', 'ä', 'x'.repeat(37), '"', '<b>'])('has no name in the log for ?run=%s', async (run) => {
    const app = await start(FAST)
    await allOf(app.open(`/springSSE?run=${encodeURIComponent(run)}`))
    await eventually(() => expect(app.calls()).toEqual(called('', ['opened'], ['onCompletion'])))
  })
})

describe('a client of /springSSE that reconnects', () => {
  const run = Date.now() - 3_600_000

  it.each([
    ['the header', '', { 'Last-Event-ID': `${run}:7` }],
    ['the query', `?lastEventId=${run}:7`, {}],
    ['the header before the query', `?lastEventId=${run}:2`, { 'Last-Event-ID': `${run}:7` }],
  ])('resumes after the id in %s, even if the time of its run is over', async (_where, query, headers) => {
    const app = await start({ interval: 1_000, timeout: 10_000 })
    expect(await allOf(app.open(`/springSSE${query}`, headers))).toEqual([...data(run, 10, 8), goodbye(run)])
  })

  it('after Data #9 gets only close', async () => {
    const app = await start(FAST)
    expect(await allOf(app.open('/springSSE', { 'Last-Event-ID': `${run}:10` }))).toEqual([goodbye(run)])
  })

  it('fails, hangs and times out when it would have without the cut', async () => {
    const app = await start({ interval: 1, timeout: 60_000 })
    const headers = { 'Last-Event-ID': `${run}:2` }
    expect(await allOf(app.open('/springSSE?fail=3', headers))).toEqual([
      ...data(run, 3, 3),
      { event: failureEvent, data: 'The server failed' },
      goodbye(run),
    ])
    expect(await allOf(app.open('/springSSE?hang=3', headers))).toEqual([
      ...data(run, 3, 3),
      { event: timeoutEvent, data: 'Timed out after 60 s' },
      goodbye(run),
    ])
  })

  it.each(['', '&fail=3', '&hang=3'])('after close gets 204, and opens no emitter (%s)', async (query) => {
    const app = await start({ interval: 1, timeout: 300 })
    const first = await allOf(app.open(`/springSSE?run=r${query}`))
    await eventually(() => expect(app.calls().at(-1)?.callback).toBe('onCompletion'))
    const before = app.calls().length
    const id = first.at(-1)?.['id'] ?? ''
    expect(await app.ask('GET', `/springSSE?run=r${query}`, { 'Last-Event-ID': id })).toMatchObject({ status: 204 })
    expect(await app.ask('GET', `/springSSE?run=r${query}&lastEventId=${id}`)).toMatchObject({ status: 204 })
    await allOf(app.open('/springSSE?run=later'))
    await eventually(() => expect(app.calls().at(-1)).toMatchObject({ run: 'later', callback: 'onCompletion' }))
    expect(app.calls()).toHaveLength(before + 2)
  })
})

describe('GET /springSSE/log', () => {
  it('has the time of each callback', async () => {
    const before = Date.now()
    const app = await start(FAST)
    await allOf(app.open('/springSSE?run=r'))
    await eventually(() => expect(app.calls()).toHaveLength(2))
    const times = app.calls().map(({ time }) => time)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(times[0]).toBeGreaterThanOrEqual(before)
    expect(times[1]).toBeLessThanOrEqual(Date.now())
  })

  it('starts with new callbacks, for a newcomer', async () => {
    const app = await start(FAST)
    await allOf(app.open('/springSSE?run=before'))
    await eventually(() => expect(app.calls()).toHaveLength(2))
    const newcomer = app.open('/springSSE/log')
    await eventually(() => expect(app.streams.size).toBe(2))
    await newcomer.until(/\r\n\r\n/)
    await allOf(app.open('/springSSE?run=after'))
    await newcomer.until(/onCompletion.*\n\n/)
    expect(streamOf(newcomer)).not.toContain('before')
  })

  it('resumes after the last line its reader saw', async () => {
    const app = await start(FAST)
    const reader = app.open('/springSSE/log')
    await reader.until(/\r\n\r\n/)
    await eventually(() => expect(app.streams.size).toBe(2))
    await allOf(app.open('/springSSE?run=one'))
    await reader.until(/onCompletion.*\n\n/)
    reader.socket.destroy()
    const [opened] = eventsOf(streamOf(reader))
    const back = app.open('/springSSE/log', { 'Last-Event-ID': opened?.['id'] ?? '' })
    await back.until(/onCompletion.*\n\n/)
    expect(eventsOf(streamOf(back)).map(({ data }) => JSON.parse(data ?? '') as EmitterCallback)).toEqual(
      called('one', ['onCompletion']),
    )
  })

  it('cannot be pushed to or ended by a name', async () => {
    const app = await start(FAST)
    for (const path of ['/sse/push', '/sse/over', '/sse/subscribe'])
      expect((await app.ask('GET', `${path}?id=%23emitters&content=x`)).status).toBe(400)
    await allOf(app.open('/springSSE?run=r'))
    await eventually(() => expect(app.calls()).toEqual(called('r', ['opened'], ['onCompletion'])))
  })

  it('that is full loses a run’s lines, with no other effect', async () => {
    const app = await startApp({ emitter: FAST, log: { maxChannels: 0 } })
    const events = await allOf(app.open('/springSSE?run=r'))
    expect(events).toEqual([...data(runOf(events), 10), goodbye(runOf(events))])
    expect(replyOf(await app.open('/springSSE/log').until(/\r\n\r\n/)).status).toBe(200)
  })
})
