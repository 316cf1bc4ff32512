import { afterEach, describe, expect, it, vi } from 'vitest'
import { channelPaths } from '../shared/demos/channel'
import { errorOf, startApp, type Reply, type TestApp } from './testingApp'

const token = 'a-token-of-23-characters'
const MAX_AGE = 600_000

/** An application whose clients may push to two channels each, behind a proxy that names them. */
async function start() {
  const app = await startApp({ channelsPerAddress: 2, channelAge: MAX_AGE, trustProxy: 1, pushToken: token })
  const ask = (path: string, client: string): Promise<Reply> =>
    app.ask('POST', path, { Authorization: `Bearer ${token}`, 'X-Forwarded-For': client })
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
  it('are so many, and pushing to one more is refused with when it will not be', async () => {
    const { app, push } = await start()
    for (const id of ['a', 'b', 'a', 'b', 'b']) expect((await push(id)).status).toBe(200)
    const reply = await push('c')
    const retryAfter = Number(reply.headers['retry-after'])
    expect(errorOf(reply)).toEqual({
      status: 429,
      code: 'channels',
      message: `You use 2 channels already: push to one of them, or wait ${retryAfter} s.`,
    })
    expect(retryAfter).toBeGreaterThan(590)
    expect(retryAfter).toBeLessThanOrEqual(600)
    expect(kept(app)).toBe(2)
    expect((await push('a')).status).toBe(200)
  })

  it('are not those of others, but are those of its whole IPv6 /64', async () => {
    const { push } = await start()
    const from = async (id: string, client: string): Promise<number> => (await push(id, client)).status
    expect([await from('a', '2001:db8::1'), await from('b', '2001:db8::2'), await from('c', '2001:db8::3')]).toEqual([
      200, 200, 429,
    ])
    expect(await from('c', '2001:db8:0:1::1')).toBe(200)
    expect(await from('c', '192.0.2.1')).toBe(200)
    expect(await from('c', '2001:db8::1')).toBe(429)
  })

  it('count for as long as a channel is kept after an event', async () => {
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

  it('are none of those that it ends or that do not exist', async () => {
    const { push, over } = await start()
    for (const id of ['x', 'y', 'z']) expect((await over(id)).status).toBe(404)
    for (const id of ['a', 'b']) expect((await push(id)).status).toBe(200)
  })
})
