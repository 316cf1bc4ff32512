/** What both ends of the live figures agree on, and how their events change them. */

export const livePaths = {
  stream: '/sse/live',
  orders: '/sse/live/orders',
  /** A thousand changes a second, for a while. */
  surge: '/sse/live/surge',
} as const

/** A person, as the browser calls them: all their tabs count once. */
export const VISITOR: RegExp = /^[\w-]{1,64}$/

/** What can be ordered, and for how many cents. */
export const MENU = { espresso: 250, tea: 320, cake: 480 } as const
export type Item = keyof typeof MENU

export const isItem = (text: string): text is Item => Object.hasOwn(MENU, text)

export const PAIRS = ['EUR/USD', 'GBP/USD', 'USD/CNY'] as const
export type Pair = (typeof PAIRS)[number]

/** Of an exchange rate. `time` is in epoch milliseconds of the server. */
export interface Point {
  time: number
  value: number
}

export type Rates = Readonly<Record<Pair, readonly Point[]>>

/** The data of `snapshot`. All of it is absolute, so that an event which it contains already does no harm. */
export interface Live {
  /** The server's time, in epoch milliseconds. */
  now: number
  /** Since when orders are counted. */
  since: number
  online: number
  orders: number
  /** Cents. */
  takings: number
  /** The newest order; null before the first. */
  item: Item | null
  /** The last minute, oldest first. */
  rates: Rates
}

/** The data of `online`, `order` and `rate`. */
export type OnlineEvent = Pick<Live, 'now' | 'online'>
export type OrderEvent = Pick<Live, 'now' | 'orders' | 'takings' | 'item'>
export interface RateEvent extends Point {
  pair: Pair
}

export type LiveEvent =
  | { event: 'snapshot'; data: Live }
  | { event: 'online'; data: OnlineEvent }
  | { event: 'order'; data: OrderEvent }
  | { event: 'rate'; data: RateEvent }

/** Milliseconds that are kept of a rate, and for which one point is enough. */
const KEPT = 60_000
const RESOLUTION = 250

/** The figures after one more event. Before the first snapshot there are none. */
export function reduceLive(live: Live | null, { event, data }: LiveEvent): Live | null {
  if (event === 'snapshot') return data
  if (!live) return null
  // Two servers may announce their orders in the wrong order.
  if (event === 'order' && data.orders < live.orders) return live
  if (event !== 'rate') return { ...live, ...data }
  const { pair, ...point } = data
  return { ...live, now: point.time, rates: { ...live.rates, [pair]: withPoint(live.rates[pair], point) } }
}

/** The points of the last minute, with one more. However many come, a line has a bounded number of points. */
export function withPoint(points: readonly Point[], point: Point): Point[] {
  const [before, last] = [points.at(-2), points.at(-1)]
  if (last && point.time < last.time - KEPT) return [point] // The clock of the server was set back.
  if (last && point.time < last.time) return [...points]
  const isDense = before !== undefined && last !== undefined && last.time - before.time < RESOLUTION
  const kept = isDense ? points.slice(0, -1) : points
  return [...kept.filter(({ time }) => time > point.time - KEPT), point]
}
