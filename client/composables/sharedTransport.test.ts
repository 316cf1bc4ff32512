/** What tabs that share a connection tell each other, with locks and a channel that behave as a browser's do. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ScriptedTransport } from './scriptedTransport'
import { sharedTransport } from './sharedTransport'
import type { ConnectionFailure, Transport, TransportConnection } from './useEventSource'

// --- Locks and channels

interface Lock {
  clientId: string
  grant: () => Promise<void>
  reject: (cause: unknown) => void
}

/** Exclusive locks, as far as they are needed here. */
class FakeLocks {
  held = new Map<string, Lock>()
  /** Where a holder hangs, what it will be told when it wakes. */
  untold: (() => void)[] | null = null
  pending: (Lock & { name: string })[] = []

  request(name: string, options: LockOptions, callback: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const lock = { name, clientId: String(Math.random()), grant: callback, reject, resolve }
      if (options.steal) {
        const robbed = this.held.get(name)
        const tell = (): void => {
          robbed?.reject(new DOMException('Stolen.', 'AbortError'))
        }
        if (this.untold) this.untold.push(tell)
        else tell()
        this.#hold(name, lock, resolve)
        return
      }
      const entry = {
        ...lock,
        grant: () => {
          this.#hold(name, lock, resolve)
          return Promise.resolve()
        },
      }
      this.pending.push(entry)
      options.signal?.addEventListener('abort', () => {
        if (!this.pending.includes(entry)) return
        this.pending.splice(this.pending.indexOf(entry), 1)
        reject(new DOMException('Withdrawn.', 'AbortError'))
      })
      this.#next(name)
    })
  }

  query(): Promise<LockManagerSnapshot> {
    return Promise.resolve({ held: [...this.held].map(([name, { clientId }]) => ({ name, clientId })) })
  }

  #next(name: string): void {
    if (this.held.has(name)) return
    const index = this.pending.findIndex((one) => one.name === name)
    void this.pending.splice(index, index < 0 ? 0 : 1)[0]?.grant()
  }

  #hold(name: string, lock: Lock, resolve: () => void): void {
    this.held.set(name, lock)
    void Promise.resolve()
      .then(lock.grant)
      .then(() => {
        if (this.held.get(name) === lock) this.held.delete(name)
        resolve()
        this.#next(name)
      })
  }
}

/** Everything in the order in which it was sent, and not at once. */
class FakeChannel {
  static readonly open = new Set<FakeChannel>()
  /** Who hangs does not hear: what was said is kept. */
  static readonly hanging = new Map<FakeChannel, unknown[]>()
  onmessage: ((event: { data: unknown }) => void) | null = null
  #closed = false

  constructor(readonly name: string) {
    FakeChannel.open.add(this)
  }

  postMessage(message: unknown): void {
    if (this.#closed) throw new DOMException('The channel is closed.', 'InvalidStateError')
    const data: unknown = structuredClone(message)
    const others = [...FakeChannel.open].filter((one) => one !== this && one.name === this.name)
    void Promise.resolve().then(() => others.forEach((one) => one.hear(data)))
  }

  hear(data: unknown): void {
    const kept = FakeChannel.hanging.get(this)
    if (kept) kept.push(data)
    else if (!this.#closed) this.onmessage?.({ data })
  }

  close(): void {
    this.#closed = true
    FakeChannel.open.delete(this)
  }
}

// --- Tabs

interface Tab {
  heard: string[]
  failures: ConnectionFailure[]
  connection: TransportConnection
  channel: FakeChannel | undefined
  /** Connects again with the same transport, as the composable does. */
  again: (lastEventId?: string) => Promise<void>
}

let inner: ScriptedTransport
let lastId: string

async function tab(lastEventId = '', scope = 'ann', own: Transport = inner.transport): Promise<Tab> {
  const transport: Transport = sharedTransport({ scope, transport: own })
  const heard: string[] = []
  const failures: ConnectionFailure[] = []
  const connect = (id: string): TransportConnection => {
    const request = {
      url: 'http://localhost/sse',
      lastEventId: id,
      lastEventIdParam: false,
      withCredentials: false,
      wasOpen: false,
    } as const
    return transport(request, {
      open: () => heard.push('open'),
      message: ({ id: own, data }) => {
        heard.push(`${own}:${data}`)
        if (data === 'bye') one.connection.close()
      },
      retrying: () => heard.push('retrying'),
      end: (reason) => heard.push(`end ${reason}`),
      fail: (failure) => {
        heard.push(`fail ${failure.kind}`)
        failures.push(failure)
      },
      activity: () => undefined,
      retry: (delay) => heard.push(`retry ${delay}`),
      id: (value) => heard.push(`id ${value}`),
    })
  }
  const before = new Set(FakeChannel.open)
  const one: Tab = {
    heard,
    failures,
    connection: connect(lastEventId),
    channel: [...FakeChannel.open].find((channel) => !before.has(channel)),
    again: async (id = '') => {
      one.connection = connect(id)
      await settle()
    },
  }
  one.connection.listen('message')
  await settle()
  tabs.push(one)
  return one
}

let tabs: Tab[]

/** Until nobody has anything more to say. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(1)
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

/** Events as `id:data`, or data without an id of its own. */
async function say(...data: string[]): Promise<void> {
  for (const one of data) {
    const [text = '', id = lastId] = one.split(':').reverse()
    lastId = id
    inner.say(text, id)
  }
  await settle()
}

/** A tab that hears nothing, until it is woken. */
function hang({ channel }: Tab): () => void {
  if (!channel) throw new Error('The tab has no channel.')
  FakeChannel.hanging.set(channel, [])
  locks.untold = []
  return () => {
    const kept = FakeChannel.hanging.get(channel) ?? []
    FakeChannel.hanging.delete(channel)
    for (const data of kept) channel.hear(data)
    locks.untold?.forEach((tell) => tell())
    locks.untold = null
  }
}

let locks: FakeLocks

beforeEach(() => {
  vi.useFakeTimers()
  inner = new ScriptedTransport()
  lastId = ''
  tabs = []
  locks = new FakeLocks()
  Object.defineProperty(navigator, 'locks', { value: locks, configurable: true })
  vi.stubGlobal('BroadcastChannel', FakeChannel)
})

afterEach(async () => {
  FakeChannel.hanging.clear()
  for (const { connection } of tabs) connection.close()
  await settle()
  expect(inner.live).toEqual([])
  expect([...FakeChannel.open]).toEqual([])
  expect(locks.held.size + locks.pending.length).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const messages = ({ heard }: Tab): string[] => heard.filter((one) => one !== 'open')

// --- Tests

describe('one connection', () => {
  it('is shared: all tabs hear everything, and those that come later are told where it is', async () => {
    const first = await tab()
    inner.newest.sink.open()
    await say('1:a')
    const second = await tab()
    await say('2:b', 'c')
    expect(first.heard).toEqual(['open', '1:a', '2:b', '2:c'])
    expect(second.heard).toEqual(['id 1', 'open', '2:b', '2:c'])
    expect(inner.connections).toHaveLength(1)
  })

  it('belongs to a scope', async () => {
    await tab('', 'ann')
    await tab('', 'bob')
    expect(inner.live).toHaveLength(2)
  })

  it('is every tab’s own where there are no locks', async () => {
    Object.defineProperty(navigator, 'locks', { value: undefined, configurable: true })
    await tab()
    await tab()
    expect(inner.live).toHaveLength(2)
  })

  it('is every tab’s own where locks are refused', async () => {
    vi.spyOn(locks, 'request').mockRejectedValue(new DOMException('No.', 'SecurityError'))
    const one = await tab('7')
    await say('8:a')
    expect(one.heard).toEqual(['8:a'])
    expect(inner.newest.request.lastEventId).toBe('7')
  })

  it('hears the names of all tabs, also those that come later', async () => {
    const first = await tab()
    const second = await tab()
    second.connection.listen('tick')
    await settle()
    expect(inner.newest.names).toContain('tick')
    first.connection.close()
    await settle()
    expect(inner.connections).toHaveLength(2)
    expect(inner.newest.names).toEqual(expect.arrayContaining(['message', 'tick']))
  })

  it('passes on, from where it was, and nobody is told that anything happened', async () => {
    const first = await tab()
    inner.newest.sink.open()
    const second = await tab()
    await say('1:a', '2:b')
    first.connection.close()
    await settle()
    expect(inner.newest.request.lastEventId).toBe('2')
    inner.newest.sink.open()
    await say('3:c')
    expect(second.heard).toEqual(['open', '1:a', '2:b', '3:c'])
  })

  it('that takes its time to pass on is told to be gone', async () => {
    const first = await tab()
    inner.newest.sink.open()
    const second = await tab()
    first.connection.close()
    await vi.advanceTimersByTimeAsync(1_100)
    expect(second.heard).toEqual(['open', 'retrying'])
    inner.newest.sink.open()
    expect(second.heard).toEqual(['open', 'retrying', 'open'])
  })

  it('that a tab closes with an event is not opened again by tabs that do the same', async () => {
    const first = await tab()
    const second = await tab()
    await say('1:bye')
    expect(first.heard).toEqual(['1:bye'])
    expect(second.heard).toEqual(['1:bye'])
    expect(inner.connections).toHaveLength(1)
  })

  it('is let go when the page leaves, and the page takes part again when it is back', async () => {
    const one = await tab()
    await say('1:a')
    window.dispatchEvent(new Event('pagehide'))
    document.dispatchEvent(new Event('freeze'))
    await settle()
    expect(inner.live).toEqual([])
    document.dispatchEvent(new Event('resume'))
    window.dispatchEvent(new Event('pageshow'))
    await settle()
    expect(inner.newest.request.lastEventId).toBe('1')
    await say('2:b')
    expect(messages(one)).toEqual(['1:a', '2:b'])
    expect(inner.connections).toHaveLength(2)
  })
})

describe('a tab that was away', () => {
  it('gets what it missed from the others, events without an id too', async () => {
    await tab()
    const away = await tab()
    await say('1:a', 'ping')
    away.connection.close()
    await say('ping', '2:b', 'ping')
    await away.again('1')
    await say('3:c')
    expect(messages(away)).toEqual(['1:a', '1:ping', '1:ping', '2:b', '2:ping', '3:c'])
    expect(inner.connections).toHaveLength(1)
  })

  it('is found by its id where nobody knows it', async () => {
    await tab()
    await say('1:a', '2:b', '3:c')
    const late = await tab('2')
    expect(messages(late)).toEqual(['3:c'])
  })

  it('asks the server where the others do not know any more, until it is where they are', async () => {
    const other = await tab()
    const leading = inner.newest
    const away = await tab()
    await say('0:a')
    away.connection.close()
    const missed = Array.from({ length: 1_500 }, (_, n) => `${n + 1}:a`)
    await say(...missed)
    await away.again('0')
    const own = inner.newest
    expect(own.request.lastEventId).toBe('0')
    expect(inner.live).toHaveLength(2)
    // The server goes on, and the tab with it, faster than it can ask.
    for (const one of missed) own.sink.message({ event: 'message', data: 'a', id: one.split(':')[0] ?? '' })
    leading.sink.message({ event: 'message', data: 'b', id: '1501' })
    own.sink.message({ event: 'message', data: 'b', id: '1501' })
    await settle()
    expect(inner.live).toEqual([leading])
    leading.sink.message({ event: 'message', data: 'c', id: '1502' })
    await settle()
    expect(messages(away)).toEqual(['0:a', ...missed, '1501:b', '1502:c'])
    expect(messages(other)).toEqual(['0:a', ...missed, '1501:b', '1502:c'])
  })

  it('is found by the id that the leader resumed after, too', async () => {
    const leader = await tab('2')
    await say('3:c')
    const late = await tab('2')
    expect(messages(leader)).toEqual(['3:c'])
    expect(messages(late)).toEqual(['3:c'])
  })

  it('and is alone goes back to the others although it moves on while it asks', async () => {
    const other = await tab()
    const leading = inner.newest
    const away = await tab()
    await say('0:a')
    away.connection.close()
    await say(...Array.from({ length: 1_500 }, (_, n) => `${n + 1}:a`))
    await away.again('0')
    const own = inner.newest
    for (let n = 1; n <= 499; n++) own.sink.message({ event: 'message', data: 'a', id: String(n) })
    await settle()
    expect(own.closed).toBe(false)
    // It asks with the first of them, which the leader knows.
    for (let n = 500; n <= 510; n++) own.sink.message({ event: 'message', data: 'a', id: String(n) })
    await settle()
    expect(own.closed).toBe(true)
    leading.sink.message({ event: 'message', data: 'a', id: '1501' })
    await settle()
    expect(messages(away)).toEqual(Array.from({ length: 1_502 }, (_, n) => `${n}:a`))
    expect(messages(other)).toEqual(messages(away))
  })

  it('starts at the newest event if it has cleared what it knew', async () => {
    await tab()
    const away = await tab()
    await say('1:a')
    away.connection.close()
    await say('2:b')
    await away.again('')
    expect(messages(away)).toEqual(['1:a', 'id 2'])
  })
})

describe('a leader that hangs', () => {
  it('is robbed, once, and steps down when it wakes, with nothing lost or doubled', async () => {
    const leader = await tab()
    const old = inner.newest
    const others = [await tab(), await tab(), await tab()]
    await say('1:a', '2:b')
    const wake = hang(leader)
    await vi.advanceTimersByTimeAsync(2_500)
    expect(inner.connections).toHaveLength(2)
    expect(inner.newest.request.lastEventId).toBe('2')
    await say('3:c', '4:d')
    // It wakes, and has events of its own connection before it hears that it was robbed.
    old.sink.message({ event: 'message', data: 'c', id: '3' })
    old.sink.message({ event: 'message', data: 'd', id: '4' })
    old.sink.message({ event: 'message', data: 'e', id: '5' })
    wake()
    await settle()
    expect(inner.live).toEqual([inner.newest])
    await say('5:e', '6:f')
    for (const one of [leader, ...others]) expect(messages(one)).toEqual(['1:a', '2:b', '3:c', '4:d', '5:e', '6:f'])
    expect(inner.connections).toHaveLength(2)
  })

  it('and answers when asked is not robbed, however quiet the stream', async () => {
    await tab()
    await tab()
    await tab()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(inner.connections).toHaveLength(1)
  })
})

describe('a server that did not resume', () => {
  it('has its news taken for news, under old numbers too', async () => {
    const robbed = await tab()
    const old = inner.newest
    const other = await tab()
    await say('1:a', '2:b')
    const wake = hang(robbed)
    await vi.advanceTimersByTimeAsync(2_500)
    old.sink.message({ event: 'message', data: 'c', id: '3' })
    await say('9:reset', '10:z')
    wake()
    await settle()
    await say('11:y')
    expect(messages(other)).toEqual(['1:a', '2:b', '9:reset', '10:z', '11:y'])
    expect(messages(robbed)).toEqual(['1:a', '2:b', '3:c', '9:reset', '10:z', '11:y'])
  })
})

describe('the end of the connection', () => {
  it('is the end for all tabs, and nobody connects by itself', async () => {
    const all = [await tab(), await tab(), await tab()]
    inner.newest.sink.end('no-content')
    await vi.advanceTimersByTimeAsync(5_000)
    for (const { heard } of all) expect(heard).toEqual(['end no-content'])
    expect(inner.connections).toHaveLength(1)
  })

  it('as a failure too; who is back first leads, the others find it, and get what they missed', async () => {
    const [first, second, third] = [await tab(), await tab(), await tab()]
    await say('1:a', 'ping')
    inner.newest.sink.fail({
      kind: 'http',
      message: 'No.',
      status: 503,
      headers: new Headers(),
      cause: () => 'cannot be cloned',
    })
    await vi.advanceTimersByTimeAsync(5_000)
    for (const { heard } of [first, second, third]) expect(heard.at(-1)).toBe('fail http')
    expect(first.failures[0]?.headers).toBeInstanceOf(Headers)
    expect(second.failures[0]).toMatchObject({ kind: 'http', status: 503, message: 'No.' })
    expect(inner.connections).toHaveLength(1)

    await second.again('1')
    expect(inner.newest.request.lastEventId).toBe('1')
    await say('ping', '2:b')
    await first.again('1')
    await third.again('1')
    await say('3:c')
    for (const one of [first, second, third])
      expect(messages(one)).toEqual(['1:a', '1:ping', 'fail http', '1:ping', '2:b', '3:c'])
    expect(inner.connections).toHaveLength(2)
  })

  it('is heard of by whoever leads next before it connects', async () => {
    const leader = await tab()
    const next = await tab()
    const wake = hang(next)
    inner.refuse()
    await settle()
    // Where nothing is heard yet, the lock has passed on already.
    expect(leader.heard).toEqual(['fail refused'])
    wake()
    await settle()
    expect(next.heard).toEqual(['fail refused'])
    expect(inner.connections).toHaveLength(1)
  })

  it('is no failure if the page is about to leave', async () => {
    const leader = await tab()
    const other = await tab()
    inner.refuse()
    leader.connection.close()
    await settle()
    expect(other.heard).toEqual([])
    expect(inner.live).toHaveLength(1)
  })

  it('comes at once where the transport cannot even start', async () => {
    const failing: Transport = () => {
      throw new TypeError('No EventSource.')
    }
    const one = await tab('', 'ann', failing)
    expect(one.heard).toEqual(['fail unsupported'])
  })
})

describe('an id', () => {
  it('is told with its event, and by itself only if it has none', async () => {
    const leader = await tab()
    const other = await tab()
    const { sink } = inner.newest
    sink.id('1')
    sink.message({ event: 'message', data: 'a', id: '1' })
    sink.id('2')
    await settle()
    for (const { heard } of [leader, other]) expect(heard).toEqual(['1:a', 'id 2'])
    leader.connection.close()
    await settle()
    expect(inner.newest.request.lastEventId).toBe('2')
  })
})

describe('retry and retrying', () => {
  it('reach all tabs, each time', async () => {
    const all = [await tab(), await tab()]
    const { sink } = inner.newest
    sink.retry(10)
    sink.open()
    sink.retrying()
    sink.retrying()
    sink.open()
    await settle()
    for (const { heard } of all) expect(heard).toEqual(['retry 10', 'open', 'retrying', 'retrying', 'open'])
    await vi.advanceTimersByTimeAsync(5_000)
    for (const { heard } of all) expect(heard).toHaveLength(5)
  })
})
