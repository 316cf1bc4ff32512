import { MENU, type Item, type Live, type Pair, type RateEvent } from '../../../shared/demos/live'
import { Exchange } from './exchange'
import type { Figures, News, Orders } from './figures'
import { Visitors } from './visitors'

/** The figures of one process, which are gone with it. */
export class MemoryFigures implements Figures {
  readonly #visitors = new Visitors()
  readonly #exchange = new Exchange(Date.now())
  readonly #since = Date.now()
  #orders: Orders = { orders: 0, takings: 0, item: null }
  #surgeEnds = 0

  get streams(): number {
    return this.#visitors.streams
  }

  enter(visitor: string): () => void {
    return this.#visitors.enter(visitor)
  }

  look(): News {
    const now = Date.now()
    return { ...this.#orders, now, online: this.#visitors.all.length, surge: this.#surgeEnds - now }
  }

  order(item: Item): Orders {
    const { orders, takings } = this.#orders
    return (this.#orders = { orders: orders + 1, takings: takings + MENU[item], item })
  }

  walk(pairs: readonly Pair[]): RateEvent[] {
    return pairs.map((pair) => this.#exchange.walk(pair, Date.now()))
  }

  surge(lasts: number): void {
    this.#surgeEnds = Date.now() + lasts
  }

  rest(): void {
    return undefined
  }

  snapshot(): Live {
    const now = Date.now()
    const { all } = this.#visitors
    return { ...this.#orders, since: this.#since, now, online: all.length, rates: this.#exchange.ratesAt(now) }
  }
}
