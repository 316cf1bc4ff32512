import { expect, it, onTestFinished, vi } from 'vitest'
import { channelPaths } from '../../shared/demos/channel'
import { startProcess } from '../testingProcess'
import { hasRedis, startRedis } from '../testingRedis'

vi.setConfig({ testTimeout: 120_000 })

it.runIf(hasRedis)(
  'two servers share a channel; while Redis is away streams stay open, pushing is refused in words and nobody is ready',
  async () => {
    const redis = await startRedis(['--appendonly', 'yes'])
    onTestFinished(() => redis.stop())
    // The whole server, as `npm start` starts it.
    const nodes = [1, 2].map(() => startProcess({ REDIS_URL: redis.url }))
    const [one, other] = (await Promise.all(nodes.map(({ listening }) => listening()))).map(
      (port) => `http://127.0.0.1:${port}`,
    ) as [string, string]

    const response = await fetch(`${one}${channelPaths.subscribe}?id=a`)
    let received = ''
    let hasEnded = false
    void (async () => {
      for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()))
        received += text
      hasEnded = true
    })()
    const push = (content: string): Promise<Response> =>
      fetch(`${other}${channelPaths.push}`, { method: 'POST', body: new URLSearchParams({ id: 'a', content }) })

    expect((await push('before')).status).toBe(200)
    await expect.poll(() => received, { timeout: 20_000 }).toContain('data: before\n')

    await redis.kill()
    await expect.poll(async () => (await fetch(`${one}/readyz`)).status, { timeout: 20_000 }).toBe(503)
    expect((await fetch(`${one}/healthz`)).status).toBe(200)
    const refused = await push('while')
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(await refused.json()).toEqual({
      error: { code: 'unavailable', message: 'The event log cannot be reached: try again.' },
    })
    expect(hasEnded).toBe(false)

    await redis.restart()
    await expect.poll(async () => (await fetch(`${other}/readyz`)).status, { timeout: 20_000 }).toBe(200)
    expect((await push('after')).status).toBe(200)
    await expect.poll(() => received, { timeout: 20_000 }).toContain('data: after\n')
    expect(received).not.toContain('stream-reset')
    for (const node of nodes)
      await expect.poll(() => node.printed.stderr).toMatch(/Redis is away.*\n(.*\n)*Redis is back/)

    const over = await fetch(`${other}${channelPaths.over}`, { method: 'POST', body: new URLSearchParams({ id: 'a' }) })
    expect(over.status).toBe(200)
    await expect.poll(() => hasEnded, { timeout: 20_000 }).toBe(true)
    expect(received).toMatch(/event: close\nid: .+\ndata: .+\n\n$/)
  },
)
