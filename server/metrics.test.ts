import { describe, expect, it, vi } from 'vitest'
import { channelPaths } from '../shared/demos/channel'
import { errorOf, startApp, subscribe, type Headers, type TestApp } from './testingApp'

const push = `${channelPaths.push}?id=a&content=x`
const eventually = (assertion: () => unknown): Promise<unknown> => vi.waitFor(assertion, { timeout: 20_000 })

/** The value of every metric, by its name and labels. */
async function figures(app: TestApp, headers: Headers = {}): Promise<Record<string, number>> {
  const { status, headers: answered, body } = await app.ask('GET', '/metrics', headers)
  expect([status, answered['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8'])
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(
    lines.map((line): [string, number] => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}

describe('GET /metrics', () => {
  it('says how many streams, channels and bytes there are, and what was published and written', async () => {
    const app = await startApp()
    const before = await figures(app)
    expect(before).toMatchObject({
      sse_streams_open: 0,
      sse_channels_subscribed: 0,
      sse_events_published_total: 0,
      sse_publish_failures_total: 0,
      sse_log_failures_total: 0,
      sse_log_channels: 0,
      sse_log_bytes: 0,
    })
    const client = await subscribe(app, 'a')
    const content = 'x'.repeat(10_000)
    for (let n = 0; n < 3; n++) await app.hub.publish('a', { data: content })
    await app.hub.publish('a', { data: 'last' })
    await client.until(/data: last\n\n/)
    const after = await figures(app)
    expect(after).toMatchObject({
      sse_streams_open: 1,
      sse_channels_subscribed: 1,
      sse_events_published_total: 4,
      sse_log_channels: 1,
      sse_log_bytes: app.log.bytes,
    })
    expect(after['sse_connections_open']).toBeGreaterThanOrEqual(2)
    const written = (after['sse_bytes_written_total'] ?? 0) - (before['sse_bytes_written_total'] ?? 0)
    expect(written).toBeGreaterThan(30_000)

    client.socket.destroy()
    await eventually(() => expect(app.streams.size).toBe(0))
    const left = await figures(app)
    expect(left['sse_streams_open']).toBe(0)
    expect(left['sse_bytes_written_total']).toBeGreaterThan(after['sse_bytes_written_total'] ?? 0)
  })

  it('counts refusals by reason, and events without room', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const app = await startApp({ limits: { total: 1 }, log: { maxChannels: 1 } })
    await subscribe(app, 'a')
    for (let n = 0; n < 2; n++) await app.ask('GET', '/sse')
    await app.ask('POST', push)
    await app.ask('POST', push.replace('id=a', 'id=b'))
    await app.ask('POST', push, { 'Sec-Fetch-Site': 'cross-site' })
    await app.ask('GET', '/nowhere')
    expect(await figures(app)).toMatchObject({
      'sse_requests_refused_total{status="503",code="capacity-total"}': 2,
      'sse_requests_refused_total{status="503",code="capacity-channels"}': 1,
      'sse_requests_refused_total{status="403",code="cross-site"}': 1,
      'sse_requests_refused_total{status="404",code="not-found"}': 1,
      sse_events_published_total: 1,
      sse_publish_failures_total: 1,
    })
    vi.restoreAllMocks()
  })

  it('counts the failures of the log that its subscribers never see', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const app = await startApp()
    const client = await subscribe(app, 'a')
    vi.spyOn(app.log, 'read').mockImplementationOnce(() => {
      throw new Error('no connection')
    })
    await app.hub.publish('a', { data: 'x' })
    await client.until(/data: x\n\n/)
    expect(await figures(app)).toMatchObject({ sse_log_failures_total: 1, sse_publish_failures_total: 0 })
    vi.restoreAllMocks()
  })

  it('has the process metrics, the second time too', async () => {
    const app = await startApp()
    for (let n = 0; n < 2; n++)
      expect(await figures(app)).toMatchObject({
        process_resident_memory_bytes: expect.any(Number) as number,
        nodejs_eventloop_lag_p99_seconds: expect.any(Number) as number,
      })
  })

  it('answers only this machine if no token is set', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const app = await startApp()
    for (const headers of [{ 'X-Forwarded-For': '192.0.2.1' }, { Host: '192.0.2.1' }])
      expect(errorOf(await app.ask('GET', '/metrics', headers))).toMatchObject({ status: 403, code: 'not-local' })
    vi.restoreAllMocks()
  })

  it('requires the token if one is set, and limits guesses', async () => {
    const app = await startApp({ pushToken: 'a-token-of-23-characters', pushesPerMinute: 3 })
    const ask = (token: string): ReturnType<TestApp['ask']> =>
      app.ask('GET', '/metrics', { Authorization: `Bearer ${token}` })
    expect(errorOf(await app.ask('GET', '/metrics'))).toMatchObject({ status: 401, code: 'token' })
    expect((await ask('a-token-of-23-characters')).status).toBe(200)
    expect([(await ask('wrong')).status, (await ask('wrong')).status]).toEqual([401, 429])
  })
})
