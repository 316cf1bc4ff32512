import type { Item, Live, OnlineEvent, OrderEvent, Pair, RateEvent } from '../../../shared/demos/live'
import type { Awaitable } from '../../sse/eventLog'

export type Orders = Pick<Live, 'orders' | 'takings' | 'item'>

/** What may have changed, also at another process. */
export interface News extends OnlineEvent, OrderEvent {
  /** Milliseconds that are left of a surge. */
  surge: number
}

/**
 * The figures: of one process (memoryFigures.ts), or of all that share a Redis (redis/redisFigures.ts).
 *
 * Whatever is published on the channel of all is published by one process at a time, the one that leads, so that nothing older
 * comes after something newer.
 */
export interface Figures {
  /** Streams that are open here. */
  readonly streams: number
  /** Somebody has the page open. Returns what to call when they have left. */
  enter: (visitor: string) => () => void
  /** Says who is here, and returns what to publish; null where another process leads. */
  look: () => Awaitable<News | null>
  order: (item: Item) => Awaitable<Orders>
  /** One step of each of these rates; none where another process leads. */
  walk: (pairs: readonly Pair[]) => Awaitable<RateEvent[]>
  /** Whoever leads changes rates quickly, for so many milliseconds. */
  surge: (lasts: number) => Awaitable<void>
  /** Nobody is left here: another process may lead. */
  rest: () => Awaitable<void>
  snapshot: () => Awaitable<Live>
}
