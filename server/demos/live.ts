import { randomUUID } from 'node:crypto'
import { Router, type RequestHandler } from 'express'
import { isItem, livePaths, MENU, PAIRS, VISITOR, type Live, type LiveEvent } from '../../shared/demos/live'
import { HttpError } from '../httpError'
import { lastEventId, param } from '../params'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import { Exchange } from './live/exchange'
import { Visitors } from './live/visitors'

export interface LiveOptions {
  /** Milliseconds between two changes of a rate. @default 1_000 */
  interval?: number
  /** Milliseconds that a surge lasts. @default 10_000 */
  surge?: number
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
  { interval = 1_000, surge = 10_000 }: LiveOptions = {},
): Router {
  const visitors = new Visitors()
  const exchange = new Exchange(Date.now())
  const shop = { since: Date.now(), orders: 0, takings: 0, item: null as Live['item'] }
  let told = 0
  let telling: NodeJS.Timeout | undefined
  let ticking: NodeJS.Timeout | undefined
  let surging: NodeJS.Timeout | undefined
  let surgeEnds = 0

  const snapshot = (): string => {
    const now = Date.now()
    return JSON.stringify({ ...shop, now, online: visitors.size, rates: exchange.ratesAt(now) } satisfies Live)
  }

  async function publish({ event, data }: Exclude<LiveEvent, { event: 'snapshot' }>): Promise<void> {
    // Where the log has no room, the next value takes the place of this one.
    await hub.publish(CHANNEL, { event, data: JSON.stringify(data) }).catch(() => undefined)
  }

  function tellOnline(): void {
    telling ??= setTimeout(() => {
      telling = undefined
      if (visitors.size === told) return
      told = visitors.size
      void publish({ event: 'online', data: { now: Date.now(), online: told } })
    }, ONLINE_DELAY).unref()
  }

  /** Rates are walked while somebody looks. */
  function tick(): void {
    if (visitors.size === 0) {
      clearInterval(ticking)
      ticking = undefined
      return
    }
    for (const pair of PAIRS) void publish({ event: 'rate', data: exchange.walk(pair, Date.now()) })
  }

  function surgeOn(): void {
    if (Date.now() >= surgeEnds || visitors.size === 0) {
      clearInterval(surging)
      surging = undefined
      return
    }
    for (let n = 0; n < SURGE_CHANGES; n++) {
      const pair = PAIRS[Math.floor(Math.random() * PAIRS.length)] ?? PAIRS[0]
      void publish({ event: 'rate', data: exchange.walk(pair, Date.now()) })
    }
  }

  return Router()
    .get(livePaths.stream, async (req, res) => {
      const visitor = param(req, 'visitor') ?? randomUUID()
      if (!VISITOR.test(visitor))
        throw new HttpError(400, 'visitor', 'visitor must have 1 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".')
      const open = () => {
        const emitter = streams.open(req, res)
        const leave = visitors.enter(visitor)
        tellOnline()
        emitter.onCompletion(() => {
          leave()
          tellOnline()
        })
        return emitter
      }
      await hub.subscribe(CHANNEL, open, { after: lastEventId(req), snapshot })
      ticking ??= setInterval(tick, interval).unref()
    })
    .post(livePaths.orders, guard, async (req, res) => {
      const item = param(req, 'item') ?? 'espresso'
      if (!isItem(item)) throw new HttpError(400, 'item', `item must be one of ${Object.keys(MENU).join(', ')}.`)
      shop.orders += 1
      shop.takings += MENU[item]
      shop.item = item
      const { orders, takings } = shop
      await publish({ event: 'order', data: { now: Date.now(), orders, takings, item } })
      res.status(201).json({ orders, takings, item })
    })
    .post(livePaths.surge, guard, (_req, res) => {
      surgeEnds = Date.now() + surge
      surging ??= setInterval(surgeOn, SURGE_TICK).unref()
      res.status(202).json({ lasts: surge })
    })
}
