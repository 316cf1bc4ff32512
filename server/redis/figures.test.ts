import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { livePaths, PAIRS, reduceLive, type Live, type LiveEvent, type Pair } from '../../shared/demos/live'
import { startNodes, type TestNode } from '../testingNodes'
import { hasRedis, startRedis, type RedisProcess } from '../testingRedis'
import { screenOf, type Screen } from '../testingScreens'
import { RedisEventLog } from './redisEventLog'
import { RedisFigures } from './redisFigures'

vi.setConfig({ testTimeout: 120_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 30_000, interval: 20 })

/** A page, and which rates it was told of. */
interface Page extends Screen<Live | null> {
  told: { pair: Pair; time: number }[]
}

function pageOf(node: TestNode, visitor: string): Page {
  const told: Page['told'] = []
  const reduce = (live: Live | null, event: LiveEvent): Live | null => {
    if (event.event === 'rate') told.push(event.data)
    return reduceLive(live, event)
  }
  return Object.assign(
    screenOf(() => node.url, `${livePaths.stream}?visitor=${visitor}`, null, reduce),
    { told },
  )
}

async function start(): Promise<{ redis: RedisProcess; one: TestNode; other: TestNode }> {
  const redis = await startRedis(['--appendonly', 'yes'])
  onTestFinished(() => redis.stop())
  const [one, other] = (await startNodes(2, { REDIS_URL: redis.url })) as [TestNode, TestNode]
  return { redis, one, other }
}

/** Those of two processes, without the processes. */
async function startFigures(): Promise<[RedisFigures, RedisFigures]> {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const [one, other] = [1, 2].map(() => {
    const log = new RedisEventLog({ url: redis.url, onConnection: () => undefined })
    onTestFinished(() => log.close())
    return new RedisFigures(log.connection, { life: 1_000 })
  }) as [RedisFigures, RedisFigures]
  for (const figures of [one, other])
    await eventually(async () => expect(await figures.snapshot()).toMatchObject({ online: 0 }))
  await one.rest()
  return [one, other]
}

async function order(node: TestNode, item: string): Promise<number> {
  const { status } = await fetch(node.url + livePaths.orders, { method: 'POST', body: new URLSearchParams({ item }) })
  return status
}

/** The line of each rate. */
const lines = (page: Page): unknown =>
  PAIRS.map((pair) => page.state?.rates[pair].map(({ time, value }) => [time, value]))

describe.runIf(hasRedis)('the live figures of two servers', () => {
  it('count everybody once, and forget who was at a server that died', async () => {
    const { one, other } = await start()
    const ada = pageOf(one, 'ada')
    await eventually(() => expect(ada.state?.online).toBe(1))
    const [adaToo, bob, cleo] = [pageOf(other, 'ada'), pageOf(other, 'bob'), pageOf(one, 'cleo')]
    for (const page of [ada, adaToo, bob, cleo]) await eventually(() => expect(page.state?.online).toBe(3))
    // The one that leads, or the other.
    await one.kill()
    for (const page of [adaToo, bob]) await eventually(() => expect(page.state?.online).toBe(2))
    await one.start()
    for (const page of [ada, adaToo, bob, cleo]) await eventually(() => expect(page.state?.online).toBe(3))
    await other.kill()
    for (const page of [ada, cleo]) await eventually(() => expect(page.state?.online).toBe(2))
    cleo.leave()
    await eventually(() => expect(ada.state?.online).toBe(1))
  })

  it('count every order once, wherever it is made, and keep them', async () => {
    const { one, other } = await start()
    const pages = [pageOf(one, 'ada'), pageOf(other, 'bob')]
    for (const page of pages) await eventually(() => expect(page.state).not.toBeNull())
    const orders = Array.from({ length: 40 }, (_, n) => order(n % 2 ? one : other, n % 4 ? 'tea' : 'cake'))
    expect(new Set(await Promise.all(orders))).toEqual(new Set([201]))
    const sum = { orders: 40, takings: 30 * 320 + 10 * 480 }
    for (const page of pages) await eventually(() => expect(page.state).toMatchObject(sum))
    const late = pageOf(other, 'cleo')
    await eventually(() => expect(late.state).toMatchObject(sum))
    await Promise.all([one.kill(), other.kill()])
    await one.start()
    await eventually(async () => expect(await order(one, 'espresso')).toBe(201))
    await eventually(() => expect(pages[0]?.state).toMatchObject({ orders: 41, takings: sum.takings + 250 }))
  })

  it('have the same rates for everybody: one server walks them, another one when it has died', async () => {
    const { one, other } = await start()
    const [ada, bob] = [pageOf(one, 'ada'), pageOf(other, 'bob')]
    for (const page of [ada, bob]) await eventually(() => expect(page.told.length).toBeGreaterThan(6))
    const cleo = pageOf(other, 'cleo')
    await eventually(() => expect(cleo.told.length).toBeGreaterThan(3))
    await eventually(() => expect(lines(cleo)).toEqual(lines(bob)))

    await one.kill()
    const before = bob.told.length
    await eventually(() => expect(bob.told.length).toBeGreaterThan(before + 3))
    // A newcomer's line begins with the points that others already have.
    const dora = pageOf(other, 'dora')
    await eventually(() => expect(dora.state).not.toBeNull())
    const known = (bob.state?.rates['EUR/USD'] ?? []).slice(-20, -10).map(({ value }) => value)
    expect(dora.state?.rates['EUR/USD'].map(({ value }) => value)).toEqual(expect.arrayContaining(known))
  })

  it('are walked by one server, and by another when that says nothing any more, or rests', async () => {
    const [one, other] = await startFigures()
    expect(await one.walk(PAIRS)).toHaveLength(PAIRS.length)
    expect(await other.walk(PAIRS)).toEqual([])
    expect(await other.look()).toBeNull()
    expect(await one.look()).toMatchObject({ online: 0 })
    await eventually(async () => expect(await other.walk(PAIRS)).toHaveLength(PAIRS.length))
    expect(await one.walk(PAIRS)).toEqual([])
    expect(await one.look()).toBeNull()
    await other.rest()
    expect(await one.walk(PAIRS)).toHaveLength(PAIRS.length)
  })

  it('count all who are at a server that was forgotten and is not dead', async () => {
    const [one, other] = await startFigures()
    one.enter('ada')
    await one.look()
    await other.walk(PAIRS)
    expect(await other.look()).toMatchObject({ online: 1 })
    const counted = async (): Promise<number | undefined> => {
      await other.walk([])
      return (await other.look())?.online
    }
    await eventually(async () => expect(await counted()).toBe(0))
    one.enter('bob')
    await one.look()
    expect(await counted()).toBe(2)
  })

  it('surge everywhere, whichever server is told to', async () => {
    const { one, other } = await start()
    const pages = [pageOf(one, 'ada'), pageOf(other, 'bob')]
    for (const page of pages) await eventually(() => expect(page.state).not.toBeNull())
    for (const node of [one, other]) {
      const before = pages.map(({ told }) => told.length)
      expect((await fetch(node.url + livePaths.surge, { method: 'POST' })).status).toBe(202)
      for (const [n, { told }] of pages.entries())
        await eventually(() => expect(told.length).toBeGreaterThan((before[n] ?? 0) + 200))
    }
  })

  it('stand still while Redis is away, say so to who orders, and go on when it is back', async () => {
    const { redis, one, other } = await start()
    const pages = [pageOf(one, 'ada'), pageOf(other, 'bob')]
    for (const page of pages) await eventually(() => expect(page.state?.online).toBe(2))
    expect(await order(one, 'tea')).toBe(201)
    await redis.kill()
    await eventually(async () => expect(await order(one, 'tea')).toBe(503))
    const cleo = pageOf(one, 'cleo')
    await redis.restart()
    for (const page of [...pages, cleo])
      await eventually(() => expect(page.state).toMatchObject({ online: 3, orders: 1, takings: 320 }))
    await eventually(async () => expect(await order(other, 'cake')).toBe(201))
    for (const page of [...pages, cleo]) await eventually(() => expect(page.state).toMatchObject({ orders: 2 }))
  })
})
