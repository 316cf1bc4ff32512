import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventsOf } from '../testing'
import type { EventLog, Gap } from './eventLog'
import { Hub, type Emitter } from './hub'
import { MemoryEventLog } from './memoryEventLog'

const CHANNEL = 'c'
const MAX_EVENTS = 6
const MAX_AGE = 1_000

type Late = 'nothing' | 'requests' | 'answers'

interface Life {
  events: { event: string; data: string; at: number }[]
  /** Offset of the oldest event that must still be there. */
  oldest: number
  overAt: number | null
  usedAt: number
}

/** What was published, and what of it must still be there: the rules of retention at their simplest. */
class Model {
  now = 0
  living: string | null = null
  listeners = 0
  watchers = 0
  readonly #lives = new Map<string, Life>()

  life(epoch: string): Life {
    const life = this.#lives.get(epoch) ?? { events: [], oldest: 1, overAt: null, usedAt: this.now }
    if (!this.#lives.has(epoch)) {
      if (this.living !== null) expect(this.left(this.living), 'a second living epoch').toBe(true)
      this.living = epoch
      this.#lives.set(epoch, life)
    }
    return life
  }

  append(position: string, event: string, data: string): void {
    const { epoch, offset } = parts(position)
    const life = this.life(epoch)
    expect(life.overAt).toBe(null)
    expect(life.events.push({ event, data, at: this.now })).toBe(offset)
    life.usedAt = this.now
    this.trim()
  }

  over(position: string): void {
    this.life(parts(position).epoch).overAt = this.now
    this.living = null
  }

  trim(): void {
    const life = this.living === null ? undefined : this.#lives.get(this.living)
    if (!life) return
    if (this.listeners > 0) life.usedAt = this.now
    const old = life.events.filter(({ at }) => at <= this.now - MAX_AGE).length
    life.oldest = Math.max(life.oldest, old + 1, life.events.length - MAX_EVENTS + 1)
  }

  /** Whether an epoch may be forgotten: over or unused for the retention age. */
  left(epoch: string): boolean {
    const life = this.#lives.get(epoch)
    return !life || (life.overAt ?? life.usedAt) + MAX_AGE <= this.now
  }

  start(epoch: string, from: 'oldest' | 'now'): number {
    const { events, oldest } = this.life(epoch)
    return from === 'now' ? events.length : oldest - 1
  }

  get top(): string {
    return `${this.living}:${this.living === null ? 0 : this.life(this.living).events.length}`
  }

  finished(position: string | null): boolean {
    const { epoch, offset } = parts(position ?? '')
    const life = this.#lives.get(epoch)
    return typeof life?.overAt === 'number' && !this.left(epoch) && offset === life.events.length
  }

  /** Whether a client with this cursor could not have been continued. */
  lost({ reason, requested }: Gap): boolean {
    const { epoch, offset } = parts(requested)
    if (reason === 'malformed') return !Number.isSafeInteger(offset)
    if (reason === 'epoch') return this.left(epoch)
    if (reason === 'ahead') return offset > this.life(epoch).events.length
    return offset + 1 < this.life(epoch).oldest
  }
}

/** A socket that takes what it is told to take, where a real one would take what its peer reads. */
class ScriptedEmitter implements Emitter {
  mode: 'open' | 'slow' | 'blocked'
  ended = false
  /** What the test found wrong, and what the hub caught. */
  readonly errors: unknown[] = []
  #waiting = Buffer.alloc(0)
  #stalled = false
  readonly #onDrain: (() => void)[] = []
  readonly #onCompletion: (() => void)[] = []
  readonly #receive: (bytes: Buffer) => void

  constructor(mode: ScriptedEmitter['mode'], receive: (bytes: Buffer) => void) {
    this.mode = mode
    this.#receive = receive
  }

  get writable(): boolean {
    return !this.ended && !this.#stalled
  }

  write(bytes: Uint8Array): boolean {
    if (this.ended) return false
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
    if (!this.ended) for (const callback of this.#onDrain) callback()
  }

  /** The client leaves, with a part of what waited for it. */
  cut(part: number): void {
    this.#take(this.#waiting.subarray(0, Math.floor(this.#waiting.length * part)))
    this.complete()
  }

  complete(): void {
    if (this.ended) return
    this.ended = true
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

/** A reader that comes back with its last id, and checks every event against the model when it comes. */
class Client {
  cursor: string | null
  readonly emitters: ScriptedEmitter[] = []
  /** Nothing more is expected: it got `close`, or would be answered 204. */
  finished = false
  #text = ''
  #startsRightly: (offset: number, epoch: string) => boolean = () => false
  readonly #model: Model

  constructor(model: Model, cursor: string | null) {
    this.#model = model
    this.cursor = cursor
  }

  get emitter(): ScriptedEmitter | undefined {
    return this.emitters.at(-1)
  }

  get connected(): boolean {
    return this.emitter?.ended === false
  }

  connect(hub: Hub, mode: ScriptedEmitter['mode'], from: 'oldest' | 'now'): void {
    const before = this.#model.living
    const start = (epoch: string): number => this.#model.start(epoch, from)
    const least = before === null ? 0 : start(before)
    this.#startsRightly = (offset, epoch) => offset <= start(epoch) && offset >= (epoch === before ? least : 0)
    this.#text = ''
    const emitter = new ScriptedEmitter(mode, (bytes) => {
      const blocks = `${this.#text}${bytes.toString()}`.split('\n\n')
      this.#text = blocks.pop() ?? ''
      for (const block of blocks) this.#check(eventsOf(`${block}\n\n`)[0] ?? {})
    })
    this.#model.listeners += 1
    emitter.onCompletion(() => {
      this.#model.trim()
      this.#model.listeners -= 1
    })
    this.emitters.push(emitter)
    void hub.subscribe(CHANNEL, emitter, { after: this.cursor, from, greeting: 'welcome' })
  }

  #check({ id = '', event = 'message', data = '' }: Record<string, string>): void {
    if (id === '') {
      expect(data, 'an event without an id').toBe('welcome')
      expect(this.cursor, 'a newcomer that is not told its id').not.toBeNull()
      return
    }
    const { epoch, offset } = parts(id)
    const life = this.#model.life(epoch)
    expect(this.finished, 'an event after the end').toBe(false)
    if (event === 'stream-reset') {
      const gap = JSON.parse(data) as Gap
      expect(gap.requested).toBe(this.cursor?.slice(0, 100))
      expect(this.#model.lost(gap), `a reset without a loss: ${data}`).toBe(true)
      expect(offset).toBeLessThanOrEqual(life.events.length)
      expect(parts(gap.latest).epoch).toBe(epoch)
      if (life.overAt === null) expect(gap.latest).toBe(id)
    } else if (this.cursor === null) {
      expect(data).toBe('welcome')
      expect(this.#startsRightly(offset, epoch), `a start at ${id}`).toBe(true)
    } else {
      const last = parts(this.cursor)
      expect(id, 'lost, doubled or out of order').toBe(`${last.epoch}:${last.offset + 1}`)
      expect(life.events[offset - 1]).toMatchObject({ event, data })
      this.finished = event === 'close'
    }
    this.cursor = id
  }
}

function parts(position: string): { epoch: string; offset: number } {
  const [, epoch = '', offset] = /^([\w-]+):(0|[1-9]\d*)$/.exec(position) ?? []
  return { epoch, offset: Number(offset ?? NaN) }
}

/**
 * The log of the test: it tells the model, and may be as late as one behind a network. Either its answers are older than what
 * it has announced since, or its announcements are older than its answers.
 */
function observed(log: MemoryEventLog, model: Model, late: Late): EventLog {
  return {
    append: (name, event) => {
      const position = log.append(name, event)
      model.append(position, event.event ?? 'message', event.data ?? '')
      return position
    },
    end: (name, last) => {
      const position = log.end(name, last)
      if (position !== null) {
        model.append(position, last.event ?? 'message', last.data ?? '')
        model.over(position)
      }
      return position
    },
    read: (name, after, limit) => {
      if (late === 'requests') return turns(1).then(() => log.read(name, after, limit))
      const batch = log.read(name, after, limit)
      return late === 'answers' ? turns(2).then(() => batch) : batch
    },
    watch: (name, onAppend) => {
      const stop = log.watch(name, late === 'requests' ? () => void turns(2).then(onAppend) : onAppend)
      model.watchers += 1
      return () => {
        model.watchers -= 1
        stop()
      }
    },
    close: () => log.close(),
  }
}

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn()
}

const who = fc.nat({ max: 20 })
const mode = fc.constantFrom('open', 'slow', 'blocked')
const forged = fc.oneof(
  fc.constantFrom('x', ':', '1', '-1', 'e:-1', 'e:1', 'e:01', 'e:1.5', 'e:1 ', 'e:1\n', '\0', `${'9'.repeat(5_000)}:1`),
  fc.constantFrom(':-1', ':99999999999999999999', ':9007199254740993', ':1e3', ':0x1', ':5 junk', ':1:1', ': 1', ':+1'),
  fc.string({ minLength: 1 }),
)
const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('publish'), count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turns'), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('subscribe'), from: fc.constantFrom('oldest', 'now'), mode }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('resume'), who, mode }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('mode'), who, mode }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cut'), who, part: fc.constantFrom(0, 0.3, 0.7, 1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('over') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('age'), ms: fc.integer({ min: 1, max: MAX_AGE + 1 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forge'), id: forged }) },
)

type Action = typeof action extends fc.Arbitrary<infer A> ? A : never

async function play(late: Late, actions: Action[]): Promise<void> {
  const model = new Model()
  const log = new MemoryEventLog({ maxEvents: MAX_EVENTS, maxAge: MAX_AGE, now: () => model.now })
  const hub = new Hub(observed(log, model, late), { batchBytes: 100 })
  const clients: Client[] = []
  let published = 0

  const pick = (n: number, connected: boolean): Client | undefined => {
    const some = clients.filter((client) => client.connected === connected)
    return some[n % some.length]
  }
  const resume = async (client: Client, mode: ScriptedEmitter['mode']): Promise<void> => {
    client.emitter?.cut(0.5)
    client.finished = model.finished(client.cursor)
    expect(await hub.resume(CHANNEL, client.cursor)).toBe(client.finished ? 'finished' : 'open')
    if (!client.finished) client.connect(hub, mode, 'oldest')
  }
  const perform = async (action: Action): Promise<void> => {
    switch (action.do) {
      case 'publish':
        for (let n = 0; n < action.count; n++) void hub.publish(CHANNEL, { data: `${(published += 1)}` })
        break
      case 'turns':
        await turns(action.count)
        break
      case 'subscribe':
      case 'forge': {
        const id =
          action.do === 'forge' ? (action.id.startsWith(':') ? `${model.living}${action.id}` : action.id) : null
        const client = new Client(model, id)
        clients.push(client)
        client.connect(
          hub,
          action.do === 'forge' ? 'open' : action.mode,
          action.do === 'forge' ? 'oldest' : action.from,
        )
        break
      }
      case 'resume': {
        const client = pick(action.who, false)
        if (client) await resume(client, action.mode)
        break
      }
      case 'mode': {
        const emitter = pick(action.who, true)?.emitter
        if (emitter) emitter.mode = action.mode
        emitter?.drain()
        break
      }
      case 'cut':
        pick(action.who, true)?.emitter?.cut(action.part)
        break
      case 'over':
        await hub.over(CHANNEL)
        break
      case 'age':
        model.trim()
        model.now += action.ms
        model.trim()
    }
  }

  for (const action of actions) await perform(action)

  for (const { emitter } of clients) {
    if (emitter) emitter.mode = 'open'
    emitter?.drain()
  }
  await turns(60)
  for (const client of clients) if (!client.connected) await resume(client, 'open')
  await turns(60)
  for (const { connected, finished, cursor, emitter, emitters } of clients) {
    for (const { errors } of emitters) if (errors.length > 0) throw errors[0]
    expect(connected, 'a client that is finished is let go, and no other').toBe(!finished)
    if (!finished) expect(cursor).toBe(model.top)
    emitter?.cut(0)
  }
  expect({ channels: hub.size, watchers: model.watchers }).toEqual({ channels: 0, watchers: 0 })
  log.close()
}

it.each<Late>(['nothing', 'requests', 'answers'])(
  'loses, doubles and reorders nothing that a reset does not admit, where of the log this is late: %s',
  async (late) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 60 }), (actions) => play(late, actions)),
      { numRuns: 300 },
    )
  },
  600_000,
)
