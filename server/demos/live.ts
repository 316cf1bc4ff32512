import { randomUUID } from 'node:crypto'
import { Router, type RequestHandler } from 'express'
import { isItem, livePaths, MENU, PAIRS, VISITOR, type LiveEvent, type Pair } from '../../shared/demos/live'
import { HttpError } from '../httpError'
import { lastEventId, param } from '../params'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import type { Figures, News } from './live/figures'
import { MemoryFigures } from './live/memoryFigures'

export interface LiveOptions {
  /** Milliseconds between two changes of a rate. @default 1_000 */
  interval?: number
  /** Milliseconds that a surge lasts. @default 10_000 */
  surge?: number
  /** @default those of this process */
  figures?: Figures
}

const CHANNEL = '#live'

/** In a surge ten rates change every ten milliseconds, which is a thousand changes a second. */
const SURGE_TICK = 10
const SURGE_CHANGES = 10

/** Milliseconds: people come and go, and nobody wants to be told of each. */
const ONLINE_DELAY = 200

/** Figures as they change: who is here and what was ordered, both real, and exchange rates, made up. */
export function live(
  streams: Streams,
  hub: Hub,
  guard: RequestHandler,
  { interval = 1_000, surge = 10_000, figures = new MemoryFigures() }: LiveOptions = {},
): Router {
  let told: News | null = null
  let looking: NodeJS.Timeout | undefined
  let ticking: NodeJS.Timeout | undefined
  let surging: NodeJS.Timeout | undefined
  let surgeEnds = 0

  /** False where it failed: the next value takes the place of this one. */
  function publish({ event, data }: Exclude<LiveEvent, { event: 'snapshot' }>, key?: string): Promise<boolean> {
    const published = hub.publish(CHANNEL, { event, data: JSON.stringify(data) }, key === undefined ? {} : { key })
    return published.then(
      () => true,
      () => false,
    )
  }

  function publishOrders({ now, orders, takings, item }: Omit<News, 'online' | 'surge'>): Promise<boolean> {
    // With its number as the key, whoever else publishes it does so in vain.
    return publish({ event: 'order', data: { now, orders, takings, item } }, `order:${orders}`)
  }

  async function look(): Promise<void> {
    const before = told
    told = await figures.look()
    if (!told) return
    const { now, online, orders, surge } = told
    surgeEnds = performance.now() + surge
    if (surge > 0) surging ??= setInterval(surgeOn, SURGE_TICK).unref()
    const publishing: Promise<boolean>[] = []
    if (online !== before?.online) publishing.push(publish({ event: 'online', data: { now, online } }))
    // The process that took an order may have died, or lost the log, before it published it.
    if (orders !== before?.orders) publishing.push(publishOrders(told))
    if ((await Promise.all(publishing)).includes(false)) told = null
  }

  function lookSoon(): void {
    looking ??= setTimeout(() => {
      looking = undefined
      attempt(look)
    }, ONLINE_DELAY).unref()
  }

  /** Rates are walked while somebody looks. */
  function tick(): void {
    if (figures.streams > 0) {
      attempt(look)
      attempt(() => walk(PAIRS))
      return
    }
    clearInterval(ticking)
    ticking = undefined
    attempt(() => figures.rest())
  }

  function surgeOn(): void {
    if (performance.now() >= surgeEnds || figures.streams === 0) {
      clearInterval(surging)
      surging = undefined
      return
    }
    const any = (): Pair => PAIRS[Math.floor(Math.random() * PAIRS.length)] ?? PAIRS[0]
    attempt(() => walk(Array.from({ length: SURGE_CHANGES }, any)))
  }

  async function walk(pairs: readonly Pair[]): Promise<void> {
    for (const data of await figures.walk(pairs)) void publish({ event: 'rate', data })
  }

  return Router()
    .get(livePaths.stream, async (req, res) => {
      const visitor = param(req, 'visitor') ?? randomUUID()
      if (!VISITOR.test(visitor))
        throw new HttpError(400, 'visitor', 'visitor must have 1 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".')
      const open = () => {
        const emitter = streams.open(req, res)
        const leave = figures.enter(visitor)
        lookSoon()
        emitter.onCompletion(() => {
          leave()
          lookSoon()
        })
        return emitter
      }
      const snapshot = async (): Promise<string> => JSON.stringify(await figures.snapshot())
      await hub.subscribe(CHANNEL, open, { after: lastEventId(req), snapshot })
      ticking ??= setInterval(tick, interval).unref()
    })
    .post(livePaths.orders, guard, async (req, res) => {
      const item = param(req, 'item') ?? 'espresso'
      if (!isItem(item)) throw new HttpError(400, 'item', `item must be one of ${Object.keys(MENU).join(', ')}.`)
      const orders = await figures.order(item)
      await publishOrders({ ...orders, now: Date.now() })
      res.status(201).json(orders)
    })
    .post(livePaths.surge, guard, async (_req, res) => {
      await figures.surge(surge)
      // Where this process leads, it begins at once.
      attempt(look)
      res.status(202).json({ lasts: surge })
    })
}

/** What cannot be done now, because Redis is away, is done the next time. */
function attempt(action: () => unknown): void {
  void Promise.resolve()
    .then(action)
    .catch(() => undefined)
}
