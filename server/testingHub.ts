/**
 * The hub's promise on any EventLog, as a property: `describeHub(name, createStore)` plays random histories with faults on two hubs,
 * and compares what every client received with what was appended.
 */

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EventLogError, parsePosition, type Awaitable, type EventLog } from './sse/eventLog'
import { Hub } from './sse/hub'
import { action, type Action } from './testingActions'
import { Client } from './testingClient'
import { CHANNEL, DEADLINE, faulty, FAULTS, History, turns, type Fault } from './testingFaults'

/** The storage behind several logs, one per process. It keeps few events, so that tests see them trimmed. */
export interface Store {
  /** The log of another process. */
  open: () => EventLog
  /** Loses everything. Open logs then find nothing, and tell their watchers to look. */
  wipe: () => Awaitable<void>
  /**
   * Loses the newest events, as if restored from a backup, and tells the watchers of its logs to look. Resolves to the remaining
   * events, if their positions may have changed.
   */
  setBack?: (events: number) => Awaitable<readonly { position: string | null; data: string }[]>
  /** Lets time pass. */
  age?: (ms: number) => void
  close: () => Awaitable<void>
}

const none = { maxBytes: 0 }

class Play {
  readonly #store: Store
  readonly #log: EventLog
  readonly #history: History
  readonly #hubs: Hub[]
  readonly #clients: Client[] = []
  readonly #publishing: Promise<void>[] = []
  /** Wrong answers to publishers. */
  readonly #errors: unknown[] = []
  #published = 0
  #wasWiped = false

  constructor(store: Store, faults: Fault[], delay: number) {
    this.#store = store
    this.#history = new History(faults, delay)
    this.#log = store.open()
    this.#hubs = [this.#newHub(), this.#newHub()]
  }

  async run(actions: Action[]): Promise<void> {
    for (const action of actions) {
      await this.#perform(action)
      await this.#checkGaps()
    }
    await this.#calm()
    await Promise.all(this.#publishing)
    await this.#history.complete()
    await this.#settled()
    for (const client of this.#clients)
      if (!client.isConnected && !client.isFinished) await client.connect(this.#hub(0), 'open')
    await this.#settled()
    await this.#checkGaps()
    for (const client of this.#clients) this.#check(client)
    for (const error of this.#errors) throw error
    for (const { emitter } of this.#clients) emitter?.cut(0)
    await turns(2)
    expect(this.#hubs.map(({ size }) => size)).toEqual([0, 0])
    expect(this.#history.watchers, 'watches that nobody stopped').toBe(0)
  }

  #newHub(): Hub {
    const log = faulty(this.#store.open(), this.#history, this.#log)
    return new Hub(log, { batchBytes: 100, deadline: DEADLINE, retryDelay: 1, onFailure: () => undefined })
  }

  #hub(index: number): Hub {
    const hub = this.#hubs[index]
    if (!hub) throw new Error(`There is no hub ${index}.`)
    return hub
  }

  #pick(n: number, isConnected: boolean): Client | undefined {
    const some = this.#clients.filter(
      (client) => client.isConnected === isConnected && !client.isConnecting && !client.isFinished,
    )
    return some[n % some.length]
  }

  async #perform(action: Action): Promise<void> {
    switch (action.do) {
      case 'publish':
        for (let n = 0; n < action.count; n++) this.#publish(action.hub, action.size, action.isKeyed)
        break
      case 'turns':
        await turns(action.count)
        break
      case 'sleep':
        await sleep(action.ms)
        break
      case 'subscribe':
      case 'forge': {
        const living = parsePosition((await this.#log.read(CHANNEL, null, none)).top)?.epoch ?? ''
        const id = action.do === 'forge' ? (/^[:+]/.test(action.id) ? `${living}${action.id}` : action.id) : null
        const client = new Client(this.#history, action.do === 'forge' ? 'oldest' : action.kind, id)
        this.#clients.push(client)
        void client.connect(this.#hub(action.hub), action.do === 'forge' ? 'open' : action.mode)
        break
      }
      case 'resume':
        await this.#pick(action.who, false)?.connect(this.#hub(action.hub), action.mode)
        break
      case 'mode': {
        const emitter = this.#pick(action.who, true)?.emitter
        if (emitter) emitter.mode = action.mode
        emitter?.drain()
        break
      }
      case 'cut':
        this.#pick(action.who, true)?.emitter?.cut(action.part)
        break
      case 'over':
        await this.#hub(action.hub)
          .over(CHANNEL)
          .catch(() => null)
        break
      case 'age':
        for (const client of this.#clients) if (!client.isConnected) client.noticesNoOtherBeginning()
        this.#store.age?.(action.ms)
        break
      case 'restart':
        for (const { emitter } of this.#clients) emitter?.cut(0.5)
        this.#hubs[action.hub] = this.#newHub()
        break
      case 'wipe':
        for (const client of this.#clients) client.noticesNoOtherBeginning()
        this.#wasWiped = true
        await this.#store.wipe()
        break
      case 'setBack':
        await this.#setBack(action.events)
    }
  }

  #publish(index: number, size: number, isKeyed: boolean): void {
    const number = String((this.#published += 1))
    const event = { data: `${number}:${'.'.repeat(size)}` }
    const published = this.#hub(index).publish(CHANNEL, event, isKeyed ? { key: number } : {})
    this.#publishing.push(
      published.then(
        (position) => {
          if (!this.#history.has(position, event.data)) this.#errors.push(new Error(`${number} is not at ${position}.`))
        },
        (error: unknown) => {
          if (!(error instanceof EventLogError)) this.#errors.push(error)
        },
      ),
    )
  }

  /** Before it, all connected clients have seen everything; afterwards, all have noticed. */
  async #setBack(events: number): Promise<void> {
    if (!this.#store.setBack) return
    await this.#calm()
    await this.#settled()
    this.#history.setBacks += 1
    for (const { position, data } of await this.#store.setBack(events))
      if (position !== null) this.#history.appended(position, data)
    await this.#settled()
    // By the time they are back, the log may have caught up with their cursors.
    for (const client of this.#clients) if (!client.isConnected) client.mayBeDeceived = true
    this.#history.isCalm = false
  }

  /** No more faults, and every socket accepts everything. */
  async #calm(): Promise<void> {
    this.#history.isCalm = true
    await sleep(3 * DEADLINE)
    for (const { emitter } of this.#clients) {
      if (emitter) emitter.mode = 'open'
      emitter?.drain()
    }
  }

  /** Waits until every connected client has received everything. */
  async #settled(): Promise<void> {
    const isBehind = async ({ cursor, isConnected, isConnecting, emitter }: Client): Promise<boolean> => {
      for (const error of emitter?.errors ?? []) throw error
      if (isConnecting) return true
      if (!isConnected) return false
      if (cursor === null) return true
      const { gap, after, top, finished } = await this.#log.read(CHANNEL, cursor, none)
      return gap !== undefined || after !== top || finished
    }
    for (let round = 0; ; round++) {
      const behind = await Promise.all(this.#clients.map(isBehind))
      if (!behind.includes(true)) return
      const { cursor } = this.#clients[behind.indexOf(true)] ?? {}
      if (round > 2_000) throw new Error(`A client waits at ${cursor} for ever.`)
      await (round < 100 ? turn() : sleep(2))
    }
  }

  /** A reset must mean a loss: lost events stay lost, so this can be checked later. */
  async #checkGaps(): Promise<void> {
    // Answers are late: a client may be told of a gap that a wipe has removed meanwhile.
    const isCertain = this.#history.setBacks === 0 && !this.#wasWiped
    for (const { gaps } of this.#clients)
      for (const { gap, cursor } of gaps.splice(0)) {
        const { gap: still } = await this.#log.read(CHANNEL, cursor, none)
        if (isCertain) expect(still, `a reset without a loss: ${JSON.stringify(gap)}`).toBeDefined()
      }
  }

  #check({ emitters, received, numbers, kind, isFinished, mayBeDeceived }: Client): void {
    for (const { errors } of emitters) if (errors.length > 0) throw errors[0]
    for (const { id, data } of received) expect(this.#history.has(id, data), `${data} was never at ${id}`).toBe(true)
    const ids = received.map(({ id }) => id)
    if (this.#history.setBacks === 0) expect(new Set(ids).size, 'an event twice').toBe(ids.length)
    if (kind === 'snapshot' && !isFinished && !mayBeDeceived)
      expect(
        [...this.#history.numbers].filter((number) => !numbers.has(number)),
        'missing from the state',
      ).toEqual([])
  }
}

/** `RUNS` in the environment sets the number of runs, and `SEED` repeats a failed one. */
export function describeHub(name: string, createStore: () => Awaitable<Store>): void {
  const runs = Number(process.env['RUNS'] ?? 300)
  const seed = process.env['SEED']
  it(`loses, doubles and reorders nothing that a reset does not admit: ${name}`, async () => {
    const faults = fc.array(fc.constantFrom<Fault>('none', 'none', 'none', ...FAULTS), { maxLength: 60 })
    const delay = fc.constantFrom(0, 0, 2)
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), faults, delay, async (actions, faultsOfRun, delayOfRun) => {
        const store = await createStore()
        try {
          await new Play(store, faultsOfRun, delayOfRun).run(actions)
        } finally {
          await store.close()
        }
      }),
      { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) },
    )
  }, 600_000)
}
