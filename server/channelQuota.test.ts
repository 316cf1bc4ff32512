import { afterEach, describe, expect, it, vi } from 'vitest'
import { channelPaths } from '../shared/demos/channel'
import { errorOf, startApp, type Reply, type TestApp } from './testingApp'

const token = 'a-token-of-23-characters'
const MAX_AGE = 600_000

const authorized = (client: string): Record<string, string> => ({
  Authorization: `Bearer ${token}`,
  'X-Forwarded-For': client,
})

/** An application whose clients may push to two channels each, behind a proxy that names them. */
async function start() {
  const app = await startApp({ channelsPerAddress: 2, channelAge: MAX_AGE, trustProxy: 1, pushToken: token })
  const ask = (path: string, client: string): Promise<Reply> => app.ask('POST', path, authorized(client))
  return {
    app,
    push: (id: string, client = '192.0.2.1') => ask(`${channelPaths.push}?id=${id}&content=x`, client),
    over: (id: string, client = '192.0.2.1') => ask(`${channelPaths.over}?id=${id}`, client),
  }
}

const kept = ({ log }: TestApp): number => log.size

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('the channels of one client', () => {
  it('are limited, and a push to one more is refused with the time to wait', async () => {
    const { app, push } = await start()
    for (const id of ['a', 'b', 'a', 'b', 'b']) expect((await push(id)).status).toBe(200)
    const reply = await push('c')
    const retryAfter = Number(reply.headers['retry-after'])
    expect(errorOf(reply)).toEqual({
      status: 429,
      code: 'channels',
      message: `You use 2 channels already: use one of them, or wait ${retryAfter} s.`,
    })
    expect(retryAfter).toBeGreaterThan(590)
    expect(retryAfter).toBeLessThanOrEqual(600)
    expect(kept(app)).toBe(2)
    expect((await push('a')).status).toBe(200)
  })

  it('are not those of other clients, but include those of its whole IPv6 /64', async () => {
    const { push } = await start()
    const from = async (id: string, client: string): Promise<number> => (await push(id, client)).status
    expect([await from('a', '2001:db8::1'), await from('b', '2001:db8::2'), await from('c', '2001:db8::3')]).toEqual([
      200, 200, 429,
    ])
    expect(await from('c', '2001:db8:0:1::1')).toBe(200)
    expect(await from('c', '192.0.2.1')).toBe(200)
    expect(await from('c', '2001:db8::1')).toBe(429)
  })

  it('count for as long as a channel is stored after an event', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const { push } = await start()
    const status = async (id: string): Promise<number> => (await push(id)).status
    expect([await status('a'), await status('b')]).toEqual([200, 200])
    vi.advanceTimersByTime(MAX_AGE - 1_000)
    expect(await status('a')).toBe(200)
    expect(await status('c')).toBe(429)
    vi.advanceTimersByTime(1_001)
    expect([await status('c'), await status('a'), await status('b')]).toEqual([200, 200, 429])
  })

  it('do not count if nothing was changed', async () => {
    const { app, push, over } = await start()
    for (const id of ['x', 'y', 'z']) expect((await over(id)).status).toBe(404)
    for (const id of ['x', 'y', 'z'])
      expect((await app.ask('POST', `${channelPaths.push}?id=${id}`, authorized('192.0.2.1'))).status).toBe(400)
    for (const id of ['a', 'b']) expect((await push(id)).status).toBe(200)
  })

  it('include those that it creates by ending them for their subscribers', async () => {
    const { app, over } = await start()
    const statuses: number[] = []
    for (const id of ['a', 'b', 'c']) {
      await app.open(`${channelPaths.subscribe}?id=${id}`, authorized('192.0.2.1')).until(/id: 0\n/)
      statuses.push((await over(id)).status)
    }
    expect(statuses).toEqual([200, 200, 429])
    expect(kept(app)).toBe(2)
  })

  it.each(['/', '?'])('count for any spelling of the address: %s', async (end) => {
    const { app, push } = await start()
    for (const id of ['a', 'b']) expect((await push(id)).status).toBe(200)
    for (const path of [channelPaths.push, channelPaths.push.toUpperCase(), `${channelPaths.push}/`]) {
      const address = `${path}${end === '/' ? '/?' : '?'}id=c&content=x`
      expect([404, 429]).toContain((await app.ask('POST', address, authorized('192.0.2.1'))).status)
    }
    expect(kept(app)).toBe(2)
  })
})
