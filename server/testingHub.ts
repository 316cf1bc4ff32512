/**
 * What the hub promises on any EventLog, as a property: `describeHub(name, createStore)` plays random histories with faults on two hubs,
 * and compares what every client got with what the log was given.
 */

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Emitter } from './sse/channel'
import { EventLogError, parsePosition, type Awaitable, type EventLog, type Gap } from './sse/eventLog'
import { Hub } from './sse/hub'
import { eventsOf } from './testing'

/** What several logs, one for each process, have in common. It keeps few events, so that a test sees them go. */
export interface Store {
  /** The log of one more process. */
  open: () => EventLog
  /** Loses everything. Logs that are open then find nothing, and tell their watchers to look. */
  wipe: () => Awaitable<void>
  /** Loses the newest events, as if it were restored from a copy, and tells the watchers of its logs to look. */
  setBack?: (events: number) => Awaitable<void>
  /** Lets time pass. */
  age?: (ms: number) => void
  close: () => Awaitable<void>
}

const CHANNEL = 'c'
const none = { maxBytes: 0 }

const FAULTS = ['none', 'reject', 'hang', 'late', 'late answer', 'too late', 'answer lost'] as const
type Fault = (typeof FAULTS)[number]

/** Milliseconds: shorter than some answers, so that those come too late. */
const DEADLINE = 5

/** What happened to the log, whatever it answered. */
class History {
  /** What was ever appended at a position: more than one thing if the log was set back. */
  readonly #contents = new Map<string, string[]>()
  /** Where the numbers are that were published with a key. */
  readonly keyed = new Map<string, string>()
  /** The state that snapshots show: every number that was appended. */
  readonly numbers = new Set<string>()
  isCalm = false
  wasSetBack = false
  watchers = 0
  /** Turns of the event loop by which every answer is late. */
  readonly delay: number
  #faults: Fault[]

  constructor(faults: Fault[], delay: number) {
    this.#faults = [...faults]
    this.delay = delay
  }

  fault(): Fault {
    return (this.isCalm ? undefined : this.#faults.shift()) ?? 'none'
  }

  appended(position: string, content: string): void {
    const contents = this.#contents.get(position) ?? []
    this.#contents.set(position, contents)
    if (contents.includes(content)) return
    expect(this.wasSetBack || contents.length === 0, `two events at ${position}`).toBe(true)
    contents.push(content)
  }

  has(position: string, content: string): boolean {
    return this.#contents.get(position)?.includes(content) ?? false
  }
}

/** A log whose calls fail, hang, come late, and whose announcements are lost, late and repeated. */
function faulty(log: EventLog, history: History): EventLog {
  const unavailable = new EventLogError('unavailable', 'The log cannot be reached.')
  const never = new Promise<never>(() => undefined)

  async function call<T>(run: () => Awaitable<T>): Promise<T> {
    const fault = history.fault()
    switch (fault) {
      case 'reject':
        throw unavailable
      case 'hang':
        return never
      case 'late': {
        await turns(2)
        return run()
      }
      case 'too late': {
        const result = await run()
        await sleep(2 * DEADLINE)
        return result
      }
      case 'answer lost':
        await run()
        throw unavailable
      default: {
        const result = await run()
        await turns(fault === 'none' ? history.delay : 3)
        return result
      }
    }
  }

  return {
    retention: log.retention,
    append: (channel, event, options) =>
      call(async () => {
        const number = event.data?.split(':')[0] ?? ''
        if (options?.key === undefined) expect(history.numbers.has(number), 'appended twice without a key').toBe(false)
        history.numbers.add(number)
        const before = options?.key === undefined ? undefined : history.keyed.get(options.key)
        const position = await log.append(channel, event, options)
        history.appended(position, event.data ?? '')
        if (before !== undefined && position !== before)
          expect(await isKept(log, before), 'appended twice with one key').toBe(false)
        if (options?.key !== undefined) history.keyed.set(options.key, position)
        return position
      }),
    end: (channel, last, options) =>
      call(async () => {
        const position = await log.end(channel, last, options)
        if (position !== null) history.appended(position, last.data ?? '')
        return position
      }),
    read: (channel, after, limits) => call(() => log.read(channel, after, limits)),
    watch: (channel, { onAppend, onError }) => {
      let isWatching = true
      const tell = (): void => {
        if (isWatching) onAppend()
      }
      const stop = log.watch(channel, {
        onError,
        onAppend: () => {
          const fault = history.fault()
          if (fault === 'late') void turns(3).then(tell)
          else if (fault === 'none' || fault === 'late answer') tell()
          if (fault === 'late answer') void turns(1).then(tell)
          if (fault === 'none' || fault === 'late' || fault === 'late answer') return
          // Lost, which the log notices, and makes good when it has connected again.
          onError(unavailable)
          void turns(5).then(tell)
        },
      })
      history.watchers += 1
      return () => {
        if (isWatching) history.watchers -= 1
        isWatching = false
        stop()
      }
    },
    close: () => log.close(),
  }
}

async function isKept(log: EventLog, position: string): Promise<boolean> {
  const before = position.replace(/\d+$/, (offset) => String(Number(offset) - 1))
  return (await log.read(CHANNEL, before, { maxBytes: 1 })).events[0]?.position === position
}

/** A socket that takes what it is told to take, where a real one would take what its peer reads. */
class ScriptedEmitter implements Emitter {
  mode: Mode
  readonly #abort = new AbortController()
  /** What the test found wrong, and what the hub caught. */
  readonly errors: unknown[] = []
  #waiting = Buffer.alloc(0)
  #stalled = false
  readonly #onDrain: (() => void)[] = []
  readonly #onCompletion: (() => void)[] = []
  readonly #receive: (bytes: Buffer) => void

  constructor(mode: Mode, receive: (bytes: Buffer) => void) {
    this.mode = mode
    this.#receive = receive
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get writable(): boolean {
    return !this.signal.aborted && !this.#stalled
  }

  write(bytes: Uint8Array): boolean {
    if (this.signal.aborted) return false
    expect(this.#stalled, 'written to a stalled socket').toBe(false)
    this.#waiting = Buffer.concat([this.#waiting, bytes])
    this.#stalled = this.mode !== 'open'
    if (this.mode === 'open') this.#take(this.#waiting)
    if (this.mode === 'slow') setImmediate(() => this.drain())
    return true
  }

  drain(): void {
    if (this.mode === 'blocked' || !this.#stalled) return
    this.#stalled = false
    this.#take(this.#waiting)
    if (!this.signal.aborted) for (const callback of this.#onDrain) callback()
  }

  /** The client leaves, with a part of what waited for it. */
  cut(part: number): void {
    this.#take(this.#waiting.subarray(0, Math.floor(this.#waiting.length * part)))
    this.complete()
  }

  complete(): void {
    if (this.signal.aborted) return
    if (this.mode !== 'blocked') this.#take(this.#waiting)
    this.#abort.abort()
    for (const callback of this.#onCompletion) callback()
  }

  completeWithError(error: unknown): void {
    this.errors.push(error)
    this.complete()
  }

  onDrain(callback: () => void): void {
    this.#onDrain.push(callback)
  }

  onCompletion(callback: () => void): void {
    this.#onCompletion.push(callback)
  }

  #take(bytes: Buffer): void {
    this.#waiting = Buffer.alloc(0)
    try {
      this.#receive(bytes)
    } catch (error) {
      this.errors.push(error)
    }
  }
}

type Kind = 'oldest' | 'now' | 'snapshot'
type Mode = 'open' | 'slow' | 'blocked'

/** A reader that comes back with its last id. What it can check by itself it checks when an event comes, the rest is asked of it later. */
class Client {
  cursor: string | null
  readonly emitters: ScriptedEmitter[] = []
  /** Nothing more is expected: it got `close`, or was answered 204. */
  isFinished = false
  isConnecting = false
  /** What it has of the state: of a snapshot, and of events. */
  readonly numbers = new Set<string>()
  readonly received: { id: string; data: string }[] = []
  readonly gaps: { gap: Gap; cursor: string }[] = []
  /** It may have missed what cannot be noticed: see where it is set. */
  mayBeDeceived = false
  readonly kind: Kind
  readonly #history: History
  readonly #isForged: boolean
  #text = ''

  constructor(history: History, kind: Kind, forged: string | null = null) {
    this.#history = history
    this.kind = kind
    this.cursor = forged
    this.#isForged = forged !== null
  }

  get emitter(): ScriptedEmitter | undefined {
    return this.emitters.at(-1)
  }

  get isConnected(): boolean {
    return this.emitter?.signal.aborted === false
  }

  /** Before the first event of a channel that is forgotten as a whole is before the first of the next one. */
  noticesNoOtherBeginning(): void {
    if (this.cursor === null || this.cursor === '0') this.mayBeDeceived = true
  }

  async connect(hub: Hub, mode: Mode): Promise<void> {
    this.emitter?.cut(0.5)
    this.#text = ''
    this.isConnecting = true
    const open = (): Emitter => {
      const emitter = new ScriptedEmitter(mode, (bytes) => {
        const blocks = `${this.#text}${bytes.toString()}`.split('\n\n')
        this.#text = blocks.pop() ?? ''
        for (const block of blocks) this.#take(eventsOf(`${block}\n\n`)[0] ?? {})
      })
      this.emitters.push(emitter)
      return emitter
    }
    const answer = await hub.subscribe(CHANNEL, open, {
      after: this.cursor,
      greeting: 'welcome',
      ...(this.kind === 'snapshot' ? { snapshot: () => this.#snapshot() } : { from: this.kind }),
    })
    this.isConnecting = false
    if (answer === 'finished') this.isFinished = true
  }

  #snapshot(): Awaitable<string> {
    const text = JSON.stringify([...this.#history.numbers])
    switch (this.#history.fault()) {
      case 'reject':
      case 'answer lost':
        return Promise.reject(new Error('no database'))
      case 'hang':
        return new Promise(() => undefined)
      case 'too late':
        return sleep(2 * DEADLINE).then(() => text)
      default:
        // As old as it may be: of the moment of the call.
        return turns(2).then(() => text)
    }
  }

  #take({ id = '', event = 'message', data = '' }: Record<string, string>): void {
    expect(this.isFinished, 'an event after the end').toBe(false)
    if (id === '') {
      expect(data, 'an event without an id').toBe('welcome')
      expect(this.cursor !== null || this.kind === 'snapshot', 'a newcomer that is not told its id').toBe(true)
      return
    }
    if (event === 'snapshot') {
      expect(this.kind).toBe('snapshot')
      for (const number of JSON.parse(data) as string[]) this.numbers.add(number)
    } else if (event === 'stream-reset') this.#takeReset(id, JSON.parse(data) as Gap)
    else if (this.cursor === null) expect(data, 'the first event').toBe('welcome')
    else {
      expect(follows(this.cursor, id), `lost, doubled or out of order: ${id} after ${this.cursor}`).toBe(true)
      this.received.push({ id, data })
      this.numbers.add(data.split(':')[0] ?? '')
      this.isFinished = event === 'close'
    }
    this.cursor = id
  }

  #takeReset(id: string, gap: Gap): void {
    expect(this.kind, 'a reset where there are snapshots').not.toBe('snapshot')
    expect(gap.requested).toBe(this.cursor?.slice(0, 100))
    if (gap.reason === 'ahead') expect(this.#isForged || this.#history.wasSetBack).toBe(true)
    else {
      expect(
        gap.oldest === null ? id === gap.latest : follows(id, gap.oldest),
        'a reset to just before the oldest',
      ).toBe(true)
      this.gaps.push({ gap, cursor: this.cursor ?? '' })
    }
  }
}

/** Whether nothing can be between a position and the one of an event. */
function follows(before: string, id: string): boolean {
  const [last, next] = [parsePosition(before), parsePosition(id)]
  if (!last || !next?.epoch) return false
  if (last.epoch === null) return next.offset === 1
  return last.offset === Infinity
    ? next.offset === 1 && next.epoch !== last.epoch
    : next.epoch === last.epoch && next.offset === last.offset + 1
}

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn()
}

const who = fc.nat({ max: 20 })
const hubIndex = fc.nat({ max: 1 })
const mode = fc.constantFrom<Mode>('open', 'slow', 'blocked')
const kind = fc.constantFrom<Kind>('oldest', 'now', 'snapshot')
const forged = fc.oneof(
  fc.constantFrom(
    'x',
    ':',
    '1',
    '00',
    '-1',
    'e:-1',
    'e:1',
    'e+',
    'e:01',
    'e:1 ',
    'e:1\n',
    '\0',
    `${'9'.repeat(5_000)}:1`,
  ),
  fc.constantFrom(
    '0',
    ':-1',
    ':99999999999999999999',
    ':9007199254740993',
    ':1e3',
    ':0x1',
    ':5 junk',
    ':1:1',
    ':+1',
    '+',
  ),
  fc.constantFrom('events after 0', 'events from oldest welcome'),
  fc.string({ minLength: 1 }),
)
const action = fc.oneof(
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant('publish'),
      hub: hubIndex,
      count: fc.integer({ min: 1, max: 8 }),
      size: fc.constantFrom(0, 0, 0, 50, 3_000),
      isKeyed: fc.boolean(),
    }),
  },
  { weight: 16, arbitrary: fc.record({ do: fc.constant('turns'), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sleep'), ms: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('subscribe'), hub: hubIndex, kind, mode }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('resume'), hub: hubIndex, who, mode }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('mode'), who, mode }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('cut'), who, part: fc.constantFrom(0, 0.3, 0.7, 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('over'), hub: hubIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('age'), ms: fc.constantFrom(1, 500, 1_001) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('forge'), hub: hubIndex, id: forged }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart'), hub: hubIndex }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wipe') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('setBack'), events: fc.integer({ min: 1, max: 4 }) }) },
)

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never

class Play {
  readonly #store: Store
  readonly #log: EventLog
  readonly #history: History
  readonly #hubs: Hub[]
  readonly #clients: Client[] = []
  /** What was wrong with the answers to publishers. */
  readonly #errors: unknown[] = []
  #published = 0

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
    const log = faulty(this.#store.open(), this.#history)
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
    published.then(
      (position) => {
        if (!this.#history.has(position, event.data)) this.#errors.push(new Error(`${number} is not at ${position}.`))
      },
      (error: unknown) => {
        if (!(error instanceof EventLogError)) this.#errors.push(error)
      },
    )
  }

  /** All who are connected have seen what is there before, and have noticed it after. */
  async #setBack(events: number): Promise<void> {
    if (!this.#store.setBack) return
    await this.#calm()
    await this.#settled()
    this.#history.wasSetBack = true
    await this.#store.setBack(events)
    await this.#settled()
    // By the time that they are back the log may have caught up with their cursors.
    for (const client of this.#clients) if (!client.isConnected) client.mayBeDeceived = true
    this.#history.isCalm = false
  }

  /** No more faults, and every socket takes what it is given. */
  async #calm(): Promise<void> {
    this.#history.isCalm = true
    await sleep(3 * DEADLINE)
    for (const { emitter } of this.#clients) {
      if (emitter) emitter.mode = 'open'
      emitter?.drain()
    }
  }

  /** Waits until every connected client has all that there is. */
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

  /** A reset must mean a loss: what is gone stays gone, so it can be looked up later. */
  async #checkGaps(): Promise<void> {
    for (const { gaps } of this.#clients)
      for (const { gap, cursor } of gaps.splice(0)) {
        const { gap: still } = await this.#log.read(CHANNEL, cursor, none)
        if (!this.#history.wasSetBack) expect(still, `a reset without a loss: ${JSON.stringify(gap)}`).toBeDefined()
      }
  }

  #check({ emitters, received, numbers, kind, isFinished, mayBeDeceived }: Client): void {
    for (const { errors } of emitters) if (errors.length > 0) throw errors[0]
    for (const { id, data } of received) expect(this.#history.has(id, data), `${data} was never at ${id}`).toBe(true)
    const ids = received.map(({ id }) => id)
    if (!this.#history.wasSetBack) expect(new Set(ids).size, 'an event twice').toBe(ids.length)
    if (kind === 'snapshot' && !isFinished && !mayBeDeceived)
      expect(
        [...this.#history.numbers].filter((number) => !numbers.has(number)),
        'missing from the state',
      ).toEqual([])
  }
}

/** `RUNS` and `SEED` in the environment make it longer, and repeat a run that failed. */
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
