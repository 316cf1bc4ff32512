import { describe, expect, it, vi } from 'vitest'
import { livePaths, PAIRS, reduceLive, withPoint, type Live, type LiveEvent, type Point } from '../../shared/demos/live'
import type { Client } from '../testing'
import { errorOf, eventsIn, startApp } from '../testingApp'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

const liveEventsIn = (client: Client): LiveEvent[] =>
  eventsIn(client).map(({ event, data }) => ({ event, data: JSON.parse(data) as unknown }) as LiveEvent)
/** What a page shows that has this stream. */
const shownBy = (client: Client): Live | null => liveEventsIn(client).reduce(reduceLive, null)

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const streamOf = (visitor: string): string => `${livePaths.stream}?visitor=${visitor}`

describe('the live figures', () => {
  it('begin with all of them, and the last minute of each rate', async () => {
    const app = await startApp()
    const client = app.open(streamOf('ada'))
    await eventually(() => expect(shownBy(client)).toMatchObject({ online: 1, orders: 0, takings: 0, item: null }))
    const { rates, now } = shownBy(client) ?? { rates: null, now: 0 }
    for (const pair of PAIRS) {
      const points = rates?.[pair] ?? []
      expect(points.length).toBeGreaterThan(55)
      expect(points[0]?.time).toBeGreaterThan(now - 62_000)
      expect(points.map(({ time }) => time)).toEqual(points.map(({ time }) => time).sort((a, b) => a - b))
    }
  })

  it('count people, and not their tabs', async () => {
    const app = await startApp()
    const one = app.open(streamOf('ada'))
    await eventually(() => expect(shownBy(one)?.online).toBe(1))
    const [tab, other] = [app.open(streamOf('ada')), app.open(streamOf('bob'))]
    for (const client of [one, tab, other]) await eventually(() => expect(shownBy(client)?.online).toBe(2))
    tab.socket.destroy()
    other.socket.destroy()
    await eventually(() => expect(shownBy(one)?.online).toBe(1))
  })

  it('count orders and takings for everybody', async () => {
    const app = await startApp()
    const early = app.open(streamOf('ada'))
    await eventually(() => expect(shownBy(early)).not.toBeNull())
    expect((await app.ask('POST', livePaths.orders, FORM, 'item=cake')).status).toBe(201)
    expect((await app.ask('POST', livePaths.orders)).status).toBe(201)
    const late = app.open(streamOf('bob'))
    for (const client of [early, late])
      await eventually(() => expect(shownBy(client)).toMatchObject({ orders: 2, takings: 730, item: 'espresso' }))
  })

  it('walk every rate while somebody looks, and rest when nobody does', async () => {
    const app = await startApp({ live: { interval: 10 } })
    const client = app.open(streamOf('ada'))
    await eventually(() =>
      expect(liveEventsIn(client).filter(({ event }) => event === 'rate').length).toBeGreaterThan(9),
    )
    const told = liveEventsIn(client).flatMap(({ event, data }) => (event === 'rate' ? [data.pair] : []))
    expect(new Set(told)).toEqual(new Set(PAIRS))
    client.socket.destroy()
    await eventually(() => expect(app.streams.size).toBe(0))
    const publish = vi.spyOn(app.hub, 'publish')
    const walked = () => publish.mock.calls.filter(([, { event }]) => event === 'rate').length
    let before = -1
    await vi.waitUntil(() => before === (before = walked()), { interval: 200, timeout: 20_000 })
    await app.open(streamOf('ada')).until(/event: rate/)
  })

  it('change a thousand times a second for as long as a surge lasts', async () => {
    const app = await startApp({ live: { interval: 60_000, surge: 300 } })
    const client = app.open(streamOf('ada'))
    await eventually(() => expect(shownBy(client)).not.toBeNull())
    expect((await app.ask('POST', livePaths.surge)).status).toBe(202)
    const changes = () => liveEventsIn(client).filter(({ event }) => event === 'rate').length
    await eventually(() => expect(changes()).toBeGreaterThan(50))
    let before = -1
    await vi.waitUntil(() => before === (before = changes()), { interval: 500, timeout: 20_000 })
    // However many there were, the line has no more points than one can see.
    for (const points of Object.values(shownBy(client)?.rates ?? {})) expect(points.length).toBeLessThan(260)
  })

  it.each([
    ['GET', `${livePaths.stream}?visitor=%20`, '', 400, 'visitor'],
    ['POST', livePaths.orders, 'item=car', 400, 'item'],
    ['POST', livePaths.orders, 'item=toString', 400, 'item'],
  ])('refuse %s %s %s: %d %s', async (method, path, body, status, code) => {
    const app = await startApp()
    expect(errorOf(await app.ask(method, path, body === '' ? {} : FORM, body))).toMatchObject({ status, code })
  })
})

it('an order that is told after a newer one changes nothing', async () => {
  const app = await startApp()
  const client = app.open(streamOf('ada'))
  await eventually(() => expect(shownBy(client)).not.toBeNull())
  const [second, first] = [
    { now: 2, orders: 2, takings: 500, item: 'tea' },
    { now: 1, orders: 1, takings: 250, item: 'cake' },
  ] as const
  const live = [second, first].reduce<Live | null>(
    (before, data) => reduceLive(before, { event: 'order', data }),
    shownBy(client),
  )
  expect(live).toMatchObject(second)
})

describe('a line', () => {
  it('has the last minute, four points a second at most, and always the newest value', () => {
    let points: Point[] = []
    for (let time = 0; time <= 90_000; time += 1) points = withPoint(points, { time, value: time })
    expect(points.at(-1)).toEqual({ time: 90_000, value: 90_000 })
    expect(points[0]?.time).toBeGreaterThan(30_000)
    expect(points.length).toBeLessThanOrEqual(242)
    expect(points.length).toBeGreaterThan(200)
  })

  it('takes nothing that is older than its end', () => {
    const points = [{ time: 1_000, value: 1 }]
    expect(withPoint(points, { time: 999, value: 2 })).toEqual(points)
  })
})
