import { randomUUID } from 'node:crypto'
import { MENU, PAIRS, type Item, type Live, type Pair, type RateEvent, type Rates } from '../../shared/demos/live'
import { Exchange } from '../demos/live/exchange'
import type { Figures, News, Orders } from '../demos/live/figures'
import { Visitors } from '../demos/live/visitors'
import type { Connection } from './connection'
import * as scripts from './figureScripts'

export interface RedisFiguresOptions {
  /** What all keys begin with. @default 'sse:' */
  prefix?: string
  /** Milliseconds after which a process that says nothing is forgotten, with all who were there, and no longer leads. @default 4_000 */
  life?: number
}

/** Milliseconds between two changes of the rates that are kept, which is less than one sees. */
const RATES_INTERVAL = 250

/** The figures of all processes that share a Redis. */
export class RedisFigures implements Figures {
  readonly #connection: Pick<Connection, 'run'>
  readonly #key: string
  readonly #life: string
  readonly #node: string = randomUUID()
  readonly #visitors = new Visitors()
  /** Whom Redis knows to be here; null if that is unknown. */
  #known: ReadonlySet<string> | null = null
  #isLeader = false
  #exchange = new Exchange(Date.now())
  #ratesKept = -Infinity
  #isWalking = false
  /** Each look and each step waits for the one before. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: Pick<Connection, 'run'>, { prefix = 'sse:', life = 4_000 }: RedisFiguresOptions = {}) {
    this.#connection = connection
    this.#key = `${prefix}{live}`
    this.#life = String(life)
  }

  get streams(): number {
    return this.#visitors.streams
  }

  enter(visitor: string): () => void {
    return this.#visitors.enter(visitor)
  }

  look(): Promise<News | null> {
    return this.#alone(async () => {
      await this.#sayWhoIsHere()
      return this.#isLeader ? (await this.#read(false)).news : null
    })
  }

  async order(item: Item): Promise<Orders> {
    const reply = await this.#run(scripts.order, [item, String(MENU[item])])
    const [orders, takings] = reply as [number, number]
    return { orders, takings, item }
  }

  async walk(pairs: readonly Pair[]): Promise<RateEvent[]> {
    // In a surge there is the next step soon.
    if (this.#isWalking) return []
    this.#isWalking = true
    try {
      return await this.#alone(() => this.#walk(pairs))
    } finally {
      this.#isWalking = false
    }
  }

  async surge(lasts: number): Promise<void> {
    await this.#run(scripts.startSurge, [String(lasts)])
  }

  async rest(): Promise<void> {
    this.#isLeader = false
    await this.#run(scripts.rest, [this.#node])
  }

  snapshot(): Promise<Live> {
    return this.#alone(async () => {
      await this.#sayWhoIsHere()
      // Where nobody leads, as before the first visitor, the last minute has still to be made up.
      await this.#lead()
      const { news, since, rates } = await this.#read(true)
      const { now, online, orders, takings, item } = news
      const empty = Object.fromEntries(PAIRS.map((pair) => [pair, []])) as unknown as Rates
      return { now, since, online, orders, takings, item, rates: rates ?? empty }
    })
  }

  async #sayWhoIsHere(): Promise<void> {
    const here = new Set(this.#visitors.all)
    for (;;) {
      const known = this.#known
      const come = [...here].filter((visitor) => !known?.has(visitor))
      const gone = [...(known ?? [])].filter((visitor) => !here.has(visitor))
      const args = [this.#node, this.#life, known ? '0' : '1', String(come.length), ...come, ...gone]
      // Until it is answered, nobody knows.
      this.#known = null
      if ((await this.#run(scripts.enter, args)) === null) continue
      this.#known = here
      return
    }
  }

  async #read(withRates: boolean): Promise<{ news: News; since: number; rates: Rates | null }> {
    const reply = (await this.#run(scripts.look, [withRates ? '1' : '0'])) as unknown[]
    const [now, online, since, orders, takings, , surge] = reply.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    const [item, rates] = [String(reply[5]), String(reply[7])]
    const news = { now, online, orders, takings, item: item === '' ? null : (item as Item), surge }
    return { news, since, rates: rates === '' ? null : (JSON.parse(rates) as Rates) }
  }

  async #walk(pairs: readonly Pair[]): Promise<RateEvent[]> {
    if (!(await this.#lead())) return []
    const events = pairs.map((pair) => this.#exchange.walk(pair, Date.now()))
    if (performance.now() - this.#ratesKept >= RATES_INTERVAL) await this.#keepRates()
    return events
  }

  /** Leads, unless another process does. */
  async #lead(): Promise<boolean> {
    const reply = (await this.#run(scripts.lead, [this.#node, this.#life, ''])) as Buffer | null
    this.#isLeader = reply !== null
    const rates = reply?.toString() ?? ''
    if (rates === '') return this.#isLeader
    // It begins to: where the last one stopped.
    this.#exchange = new Exchange(Date.now(), rates === 'none' ? undefined : (JSON.parse(rates) as Rates))
    this.#exchange.ratesAt(Date.now())
    await this.#keepRates()
    return this.#isLeader
  }

  async #keepRates(): Promise<void> {
    this.#ratesKept = performance.now()
    const rates = JSON.stringify(this.#exchange.ratesAt(Date.now()))
    await this.#run(scripts.lead, [this.#node, this.#life, rates])
  }

  #run(script: string, args: readonly string[]): Promise<unknown> {
    return this.#connection.run(script, this.#key, args)
  }

  #alone<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action)
    this.#last = result.catch(() => undefined)
    return result
  }
}
