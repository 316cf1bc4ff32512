// @vitest-environment node
/** Tabs that share a connection, in a fake browser whose messages and time the test controls. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CALM, FakeBrowser, type FakeTab } from './fakeBrowser'
import { sharedTransport } from './sharedTransport'
import type {
  ConnectionFailure,
  Transport,
  TransportConnection,
  TransportRequest,
  TransportSink,
} from './useEventSource'

interface Inner {
  readonly tab: FakeTab
  readonly request: TransportRequest
  readonly sink: TransportSink
  readonly names: string[]
  isOpen: boolean
  isClosed: boolean
}

let browser: FakeBrowser
let connections: Inner[]
let pages: Page[]
let lastId: string

const native: Transport = (request, sink) => {
  if (!browser.current) throw new Error('No tab is running.')
  const inner: Inner = { tab: browser.current, request, sink, names: [], isOpen: false, isClosed: false }
  connections.push(inner)
  return {
    listen: (name) => inner.names.push(name),
    close: () => {
      inner.isClosed = true
    },
  }
}
const all: Transport = Object.assign(native.bind(null), { receivesAllEvents: true })

const live = (): Inner[] => connections.filter(({ isClosed, tab }) => !isClosed && !tab.isGone)
const newest = (): Inner => {
  const inner = connections.at(-1)
  if (!inner) throw new Error('No connection was made.')
  return inner
}

/** Reports of the inner connection, in a task of its tab. */
async function report(what: (sink: TransportSink) => void, inner: Inner = newest()): Promise<void> {
  browser.schedule(inner.tab, 'network', 0, () => {
    if (!inner.isClosed) what(inner.sink)
  })
  await settle()
}

/** Events as `id:data`, or data without an id of its own. */
async function say(...texts: string[]): Promise<void> {
  await sayBy(newest(), ...texts)
}

async function sayBy(inner: Inner, ...texts: string[]): Promise<void> {
  if (!inner.isOpen) await openBy(inner)
  for (const text of texts) {
    const [data = '', id = lastId] = text.split(':').reverse()
    lastId = id
    browser.schedule(inner.tab, 'network', 0, () => {
      if (!inner.isClosed) inner.sink.message({ event: 'message', data, id })
    })
  }
  await settle()
}

async function openBy(inner: Inner): Promise<void> {
  inner.isOpen = true
  await report((sink) => sink.open(), inner)
}

/** Runs until all messages are delivered. */
const settle = (): Promise<void> => browser.run(20)

/** Runs until another tab connects, because the leader hangs. */
async function untilTakeover(): Promise<void> {
  const before = connections.length
  while (connections.length === before) await browser.run(100)
}

interface Options {
  names?: string[]
  lastEventId?: string
  scope?: string
  transport?: Transport
  fromStart?: boolean
  url?: string
  withCredentials?: boolean
}

/** A tab with a stream. */
class Page {
  readonly heard: string[] = []
  readonly failures: ConnectionFailure[] = []
  readonly tab: FakeTab = browser.tab()
  connection: TransportConnection | undefined
  readonly #options: Options
  readonly #transport: Transport

  constructor(options: Options) {
    const { scope = 'ann', transport = native, fromStart } = options
    this.#options = options
    this.#transport = sharedTransport({ scope, transport, fromStart })
  }

  get messages(): string[] {
    return this.heard.filter((one) => one !== 'open')
  }

  async connect(lastEventId: string = this.#options.lastEventId ?? '', wasOpen: boolean = false): Promise<void> {
    await this.tab.do(() => {
      this.connection = connectBy(this.#transport, this, lastEventId, wasOpen, this.#options)
      for (const name of this.#options.names ?? ['message']) this.connection.listen(name)
    })
    await settle()
  }

  async listen(...names: string[]): Promise<void> {
    await this.tab.do(() => names.forEach((name) => this.connection?.listen(name)))
    await settle()
  }

  async disconnect(): Promise<void> {
    await this.tab.do(() => this.connection?.close())
    await settle()
  }
}

function connectBy(
  transport: Transport,
  page: Page,
  lastEventId: string,
  wasOpen: boolean,
  { url = 'http://localhost/sse', withCredentials = false }: Options,
): TransportConnection {
  const { heard, failures } = page
  return transport(
    { url, lastEventId, lastEventIdParam: false, withCredentials, wasOpen },
    {
      open: () => heard.push('open'),
      message: ({ id, data }) => {
        heard.push(`${id}:${data}`)
        if (data === 'bye') page.connection?.close()
      },
      retrying: () => heard.push('retrying'),
      end: (reason) => heard.push(`end ${reason}`),
      fail: (failure) => {
        heard.push(`fail ${failure.kind}`)
        failures.push(failure)
      },
      activity: () => undefined,
      retry: (delay) => heard.push(`retry ${delay}`),
      id: (id) => heard.push(`id ${id}`),
    },
  )
}

async function open(options: Options = {}): Promise<Page> {
  const page = new Page(options)
  pages.push(page)
  await page.connect()
  return page
}

beforeEach(() => {
  browser = new FakeBrowser(7)
  browser.install()
  connections = []
  pages = []
  lastId = ''
})

afterEach(async () => {
  try {
    for (const { tab } of pages) if (!tab.isGone) await tab.close()
    expect(live()).toEqual([])
    expect(browser.channels.size + browser.locks.size).toBe(0)
  } finally {
    browser.uninstall()
  }
})

describe('one connection', () => {
  it('is shared: all tabs receive everything, and a late one starts at the newest event', async () => {
    const first = await open()
    await openBy(newest())
    await say('1:a')
    const second = await open()
    await say('2:b', 'c')
    expect(first.heard).toEqual(['open', '1:a', '2:b', '2:c'])
    expect(second.heard).toEqual(['id 1', 'open', '2:b', '2:c'])
    expect(connections).toHaveLength(1)
  })

  it('belongs to a scope, a URL, credentials and a kind of inner transport', async () => {
    const others: Options[] = [{ scope: 'bob' }, { url: 'http://localhost/other' }, { withCredentials: true }]
    for (const options of [{}, ...others, { transport: all }]) {
      await open(options)
      await open(options)
    }
    expect(live()).toHaveLength(5)
  })

  it('is every tab’s own without Web Locks', async () => {
    Reflect.deleteProperty(navigator, 'locks')
    await open()
    await open()
    expect(live()).toHaveLength(2)
    for (const { connection, tab } of pages) await tab.do(() => connection?.close())
  })

  it('is every tab’s own if locks are refused', async () => {
    browser.locks.isRefused = true
    const page = await open({ lastEventId: '7' })
    await openBy(newest())
    await say('8:a')
    expect(page.heard).toEqual(['open', '8:a'])
    expect(newest().request.lastEventId).toBe('7')
  })

  it('is shared in a worker, which has no document', async () => {
    Reflect.deleteProperty(globalThis, 'document')
    await open()
    await open()
    expect(live()).toHaveLength(1)
  })

  it('is handed over at once, resumes where it was, and no page notices', async () => {
    const first = await open()
    await openBy(newest())
    const second = await open()
    await say('1:a', '2:b')
    const before = browser.now
    first.tab.crash()
    await settle()
    expect(browser.now - before).toBeLessThan(100)
    expect(newest().request).toMatchObject({ lastEventId: '2', wasOpen: true })
    await openBy(newest())
    await say('3:c')
    expect(second.heard).toEqual(['open', '1:a', '2:b', '3:c'])
    expect(browser.locks.stolen).toBe(0)
  })

  it('is made with only what its tab knows', async () => {
    const first = await open({ lastEventId: '5' })
    const second = await open()
    expect(newest().request).toMatchObject({ lastEventId: '5', wasOpen: false })
    await first.tab.close()
    await settle()
    expect(second.heard).toEqual(['id 5'])
    expect(newest().request).toMatchObject({ lastEventId: '5', wasOpen: false })
  })

  it('is reported as lost if the handover takes too long', async () => {
    const first = await open()
    await openBy(newest())
    const second = await open()
    await first.disconnect()
    await browser.run(1_100)
    expect(second.heard).toEqual(['open', 'retrying'])
    await openBy(newest())
    expect(second.heard).toEqual(['open', 'retrying', 'open'])
  })

  it('that a tab closes with an event is not opened again by tabs that do the same', async () => {
    const first = await open()
    const second = await open()
    await say('1:bye')
    expect(first.messages).toEqual(['1:bye'])
    expect(second.messages).toEqual(['1:bye'])
    expect(connections).toHaveLength(1)
  })

  it.each(['window pagehide', 'document freeze'])(
    'is released by %s, and the page takes part again',
    async (leaves) => {
      const page = await open()
      const other = await open()
      await say('1:a')
      await page.tab.dispatch(leaves)
      await settle()
      expect(live().map(({ tab }) => tab)).toEqual([other.tab])
      await say('2:b')
      await page.tab.dispatch(leaves === 'document freeze' ? 'document resume' : 'window pageshow')
      await settle()
      await say('3:c')
      expect(page.messages).toEqual(['1:a', '2:b', '3:c'])
      expect(connections).toHaveLength(2)
    },
  )

  it('of each of two streams that use one transport', async () => {
    const transport = sharedTransport({ scope: 'ann', transport: native })
    const page = await open()
    const [one, two] = [new Page({}), new Page({})]
    const closing: TransportConnection[] = []
    for (const [to, url] of [
      [one, 'http://localhost/one'],
      [two, 'http://localhost/two'],
    ] as const)
      await page.tab.do(() => {
        const connection = connectBy(transport, to, '', false, { url })
        connection.listen('message')
        closing.push(connection)
      })
    await settle()
    expect(live()).toHaveLength(3)
    const [toOne, toTwo] = ['one', 'two'].map((name) => live().find(({ request }) => request.url.endsWith(name)))
    if (!toOne || !toTwo) throw new Error('There are too few.')
    await sayBy(toOne, '1:a')
    await sayBy(toTwo, '9:z')
    await page.tab.do(() => closing[0]?.close())
    await sayBy(toTwo, '10:y')
    expect(one.messages).toEqual(['1:a'])
    expect(two.messages).toEqual(['9:z', '10:y'])
  })
})

describe('names', () => {
  it('do not matter to an inner transport that receives every event', async () => {
    await open({ transport: all })
    const other = await open({ transport: all, names: ['message', 'a'] })
    await other.listen('b')
    expect(connections).toHaveLength(1)
  })

  it('form groups with native: each tab receives only the names it was told', async () => {
    await open()
    await open({ names: ['a', 'message'] })
    await open({ names: ['message', 'a'] })
    expect(live().map(({ names }) => names)).toEqual([['message'], ['a', 'message']])
  })

  it('added later, many in one turn, move the tab once, and it resumes by id', async () => {
    const first = await open()
    const mover = await open()
    await say('1:a', '2:b')
    await mover.listen('x', 'y')
    expect(connections).toHaveLength(2)
    expect(newest()).toMatchObject({ request: { lastEventId: '2' }, names: ['message', 'x', 'y'] })
    const [old, own] = connections
    if (!old || !own) throw new Error('There are too few.')
    await sayBy(old, '3:c')
    await sayBy(own, '3:c')
    expect(first.messages).toEqual(['1:a', '2:b', '3:c'])
    expect(mover.messages).toEqual(['1:a', '2:b', '3:c'])
  })

  it('added later move the tab to the group that has them, with exactly the events it lacks', async () => {
    const ahead = await open({ names: ['message', 'x'] })
    const [wide] = connections
    const mover = await open()
    const narrow = newest()
    if (!wide) throw new Error('There is none.')
    await sayBy(narrow, '1:a', '3:c')
    await sayBy(wide, '1:a', '2:b', '3:c', '4:d')
    await mover.listen('x')
    await sayBy(wide, '5:e')
    expect(mover.messages).toEqual(['1:a', '3:c', '4:d', '5:e'])
    expect(ahead.messages).toEqual(['1:a', '2:b', '3:c', '4:d', '5:e'])
    expect(live()).toEqual([wide])
  })

  it('added later do not skip events: the tab asks the server until it meets its new group', async () => {
    await open({ names: ['message', 'x'] })
    const [wide] = connections
    const mover = await open()
    const narrow = newest()
    if (!wide) throw new Error('There is none.')
    await sayBy(wide, '1:a')
    await sayBy(narrow, '1:a', '2:b', '3:c')
    await mover.listen('x')
    // The leader of that group receives it in time: no connection is needed.
    await sayBy(wide, '2:b', '3:c', '4:d')
    expect(mover.messages).toEqual(['1:a', '2:b', '3:c', '4:d'])
    expect(connections).toHaveLength(2)
  })
})

describe('a tab that was away', () => {
  it('gets what it missed from the leader, without ids too', async () => {
    await open()
    const away = await open()
    await say('a')
    await away.tab.freeze()
    await say('b', 'c')
    await away.tab.thaw()
    await settle()
    await say('d')
    expect(away.messages).toEqual([':a', ':b', ':c', ':d'])
    expect(connections).toHaveLength(1)
  })

  it('is found by its id, even by the one that the leader resumed after', async () => {
    await open({ lastEventId: '2' })
    await say('3:c', '4:d')
    const late = await open({ lastEventId: '3' })
    const later = await open({ lastEventId: '2' })
    expect(late.messages).toEqual(['4:d'])
    expect(later.messages).toEqual(['3:c', '4:d'])
    expect(connections).toHaveLength(1)
  })

  it('asks the server if the leader no longer knows its place, until they meet', async () => {
    const other = await open()
    const [leading] = connections
    const away = await open()
    await say('0:a')
    await away.disconnect()
    const missed = Array.from({ length: 1_500 }, (_, n) => `${n + 1}:a`)
    await say(...missed)
    await away.connect('0', true)
    await browser.run(1_100)
    const own = newest()
    expect(own.request).toMatchObject({ lastEventId: '0', wasOpen: true })
    expect(live()).toHaveLength(2)
    await sayBy(own, ...missed.slice(0, 700))
    if (!leading) throw new Error('There is none.')
    await sayBy(leading, '1501:b')
    expect(live()).toEqual([leading])
    expect(away.messages).toEqual(['0:a', ...missed, '1501:b'])
    expect(other.messages).toEqual(['0:a', ...missed, '1501:b'])
  })

  it('and asks the server leads with that connection if it is the only tab left', async () => {
    const leader = await open()
    await say('5:a')
    const page = await open({ lastEventId: '1' })
    await browser.run(1_100)
    await leader.tab.close()
    await settle()
    await say('2:b')
    expect(connections).toHaveLength(2)
    const late = await open()
    await say('3:c')
    expect(page.messages).toEqual(['2:b', '3:c'])
    expect(late.messages).toEqual(['id 2', '3:c'])
  })

  it('starts at the newest event if it has no id', async () => {
    await open()
    const away = await open()
    await say('1:a')
    await away.disconnect()
    await say('2:b')
    await away.connect('', true)
    expect(away.messages).toEqual(['1:a', 'id 2'])
  })
})

describe('a tab that joins late, and wants the start of the stream', () => {
  const fromStart = true

  it('asks the server for it at once, and follows as soon as it is where the leader is', async () => {
    const first = await open({ fromStart })
    await say('1:snapshot', '2:a')
    const late = await open({ fromStart })
    const [leading, own] = live()
    if (!leading || !own) throw new Error('The late tab did not ask.')
    expect(own.tab).toBe(late.tab)
    expect(own.request).toMatchObject({ lastEventId: '', wasOpen: false })
    await sayBy(leading, '3:b')
    await sayBy(own, '2:snapshot')
    expect(live()).toEqual([leading])
    await sayBy(leading, '4:c')
    expect(first.messages).toEqual(['1:snapshot', '2:a', '3:b', '4:c'])
    expect(late.messages).toEqual(['2:snapshot', '3:b', '4:c'])
  })

  it('need not ask while the leader has received nothing', async () => {
    await open({ fromStart })
    const others = [await open({ fromStart }), await open({ fromStart })]
    await say('1:snapshot')
    for (const { messages } of others) expect(messages).toEqual(['1:snapshot'])
    expect(connections).toHaveLength(1)
  })

  it('need not ask while the connection of the leader is open, and nothing has come', async () => {
    await open({ fromStart })
    await report((sink) => sink.open())
    const late = await open({ fromStart })
    expect(connections).toHaveLength(1)
    await say('1:snapshot')
    expect(late.messages).toEqual(['1:snapshot'])
  })

  it('asks the server where the leader resumed, and has received nothing yet', async () => {
    await open({ fromStart, lastEventId: '5' })
    await open({ fromStart })
    expect(live().map(({ request }) => request.lastEventId)).toEqual(['5', ''])
  })

  it('asks the server when the next leader is further on than the one it waited with', async () => {
    const first = await open({ fromStart })
    await open({ fromStart, lastEventId: '7' })
    await browser.run(1_100)
    const late = await open({ fromStart })
    expect(live().map(({ request }) => request.lastEventId)).toEqual(['', '7'])
    first.tab.crash()
    await settle()
    expect(live().map(({ request }) => request.lastEventId)).toEqual(['7', ''])
    await say('9:snapshot')
    expect(late.messages).toEqual(['9:snapshot'])
  })

  it('asks again after each failure, and once more after it has forgotten its id', async () => {
    await open({ fromStart })
    await say('1:snapshot')
    const late = await open({ fromStart })
    await report((sink) => sink.fail({ kind: 'network', message: 'Lost.' }))
    await browser.run(10)
    expect(late.heard).toEqual(['fail network'])
    for (const snapshot of ['1:again', '1:forgotten']) {
      await late.connect()
      await say(snapshot)
      await late.disconnect()
    }
    expect(late.messages).toEqual(['fail network', '1:again', '1:forgotten'])
    expect(live()).toHaveLength(1)
  })

  it('resumes after it has an id, like any other', async () => {
    const leader = await open({ fromStart })
    await say('1:snapshot')
    const away = await open({ fromStart, lastEventId: '1' })
    await say('2:a')
    expect(away.messages).toEqual(['2:a'])
    expect(leader.messages).toEqual(['1:snapshot', '2:a'])
    expect(connections).toHaveLength(1)
  })
})

describe('a slow leader', () => {
  it('keeps its lock through ordinary long tasks, one after another', async () => {
    const leader = await open()
    const others = [await open(), await open(), await open()]
    for (const milliseconds of [700, 1_200, 1_500, 3_000, 1_200, 1_200]) {
      await leader.tab.busy(milliseconds)
      await browser.run(50)
    }
    await say('a')
    for (const page of [leader, ...others]) expect(page.messages).toEqual([':a'])
    expect(browser.locks.stolen).toBe(0)
    expect(connections).toHaveLength(1)
  })

  it('that answers when asked keeps its lock, however quiet the stream and late the timers', async () => {
    await open()
    const hidden = await open()
    hidden.tab.throttle = 60_000
    await open()
    await browser.run(600_000)
    expect(browser.locks.stolen).toBe(0)
    expect(connections).toHaveLength(1)
  })

  it('loses its lock when it hangs, to one tab, and steps down when it wakes, with nothing lost or doubled', async () => {
    const leader = await open()
    const old = newest()
    const others = [await open(), await open(), await open()]
    // As Chromium aligns the timers of hidden tabs.
    for (const { tab } of others) tab.throttle = 1_000
    await say('1:a', '2:b')
    leader.tab.hang()
    await untilTakeover()
    expect(browser.locks.stolen).toBeGreaterThan(0)
    expect(live().filter(({ tab }) => tab !== leader.tab)).toHaveLength(1)
    expect(newest().request.lastEventId).toBe('2')
    await say('3:c', '4:d')
    // It handles events of its own connection before any message.
    for (const text of 'cde')
      await report((sink) => sink.message({ event: 'message', data: text, id: String('_abcde'.indexOf(text)) }), old)
    leader.tab.wake('network')
    await settle()
    await say('5:e', '6:f')
    for (const page of [leader, ...others]) expect(page.messages).toEqual(['1:a', '2:b', '3:c', '4:d', '5:e', '6:f'])
    expect(live()).toHaveLength(1)
  })

  it('repeats no events of another leader, in a stream without ids', async () => {
    const leader = await open()
    const old = newest()
    const other = await open()
    await say('a')
    leader.tab.hang()
    await untilTakeover()
    await say('c')
    for (const data of ['b', 'c']) await report((sink) => sink.message({ event: 'message', data, id: '' }), old)
    leader.tab.wake('network')
    await settle()
    await say('d')
    expect(other.messages).toEqual([':a', ':c', ':d'])
    expect(leader.messages).toEqual([':a', ':b', ':c', ':d'])
  })

  it('is ignored once another tab has its lock', async () => {
    const leader = await open()
    const other = await open()
    await say('a')
    const channel = [...browser.channels].find(({ tab }) => tab === leader.tab)
    leader.tab.hang()
    await untilTakeover()
    await say('b')
    const report = { kind: 'event', id: '', event: { event: 'message', data: 'old', id: '' } }
    for (let seq = 1; seq < 10; seq++) channel?.postMessage({ kind: 'report', term: '1000 x', seq, report })
    await say('c')
    expect(other.messages).toEqual([':a', ':b', ':c'])
    leader.tab.wake()
  })

  it('is not ignored because its clock was set back', async () => {
    const first = await open()
    const second = await open()
    await say('1:a')
    await first.tab.close()
    await settle()
    await say('2:b')
    const later = await open({ lastEventId: '1' })
    expect(later.messages).toEqual(['2:b'])
    const channel = [...browser.channels].find(({ tab }) => tab === second.tab)
    channel?.postMessage({
      kind: 'report',
      term: `${browser.now + 3_600_000} gone`,
      seq: 5,
      report: { kind: 'activity' },
    })
    await settle()
    await say('3:c')
    expect(later.messages).toEqual(['2:b', '3:c'])
  })
})

describe('the end of the connection', () => {
  it('is the end for all tabs, and none of them connects', async () => {
    const all = [await open(), await open(), await open()]
    await report((sink) => sink.end('no-content'))
    await browser.run(15_000)
    for (const { heard } of all) expect(heard).toEqual(['end no-content'])
    expect(connections).toHaveLength(1)
    expect(browser.locks.size).toBe(0)
  })

  it('can be a failure for all; the first tab back leads, and the others get their missed events', async () => {
    const [first, second, third] = [await open(), await open(), await open()]
    await say('1:a')
    await report((sink) =>
      sink.fail({ kind: 'http', message: 'No.', status: 503, headers: new Headers(), cause: () => 'cannot be cloned' }),
    )
    await browser.run(15_000)
    for (const { heard } of [first, second, third]) expect(heard.at(-1)).toBe('fail http')
    expect(first.failures[0]?.headers).toBeInstanceOf(Headers)
    expect(second.failures[0]).toMatchObject({ kind: 'http', status: 503, message: 'No.' })
    expect(connections).toHaveLength(1)

    await second.connect('1', true)
    expect(newest().request).toMatchObject({ lastEventId: '1', wasOpen: true })
    await say('2:b')
    await first.connect('1', true)
    await third.connect('1', true)
    await say('3:c')
    for (const { messages } of [first, second, third]) expect(messages).toEqual(['1:a', 'fail http', '2:b', '3:c'])
    expect(connections).toHaveLength(2)
  })

  it('reaches the next leader before it connects', async () => {
    const leader = await open()
    const next = await open()
    next.tab.hang()
    await report((sink) => sink.fail({ kind: 'refused', message: 'Refused.' }))
    expect(leader.heard).toEqual(['fail refused'])
    // The lock has passed on already.
    next.tab.wake()
    await settle()
    expect(next.heard).toEqual(['fail refused'])
    expect(connections).toHaveLength(1)
  })

  it.each<[string, (sink: TransportSink) => void]>([
    ['a failure', (sink) => sink.fail({ kind: 'http', message: 'No.', status: 503 })],
    ['the end', (sink) => sink.end('no-content')],
    ['the last event', (sink) => sink.message({ event: 'message', data: 'bye', id: '' })],
  ])('has %s reach all tabs before the next one leads', async (_name, what) => {
    // The lock takes another route than the message, and which of them is faster depends.
    for (let round = 1; round <= 50; round++) {
      const tabs = [await open(), await open(), await open()]
      await report(what)
      expect(connections).toHaveLength(round)
      for (const { heard } of tabs) expect(heard).toHaveLength(1)
      expect(browser.locks.size).toBe(0)
      for (const page of tabs) await page.disconnect()
    }
  })

  it('releases its lock at once if the tab freezes next', async () => {
    const leader = await open()
    const other = await open()
    await leader.tab.do(() => leader.connection?.close())
    await leader.tab.freeze()
    await settle()
    expect(live().map(({ tab }) => tab)).toEqual([other.tab])
    expect(browser.locks.stolen).toBe(0)
  })

  it('releases its lock even if no message arrives', async () => {
    const leader = await open()
    const other = await open()
    browser.weather = { lost: 1, late: 0 }
    await leader.disconnect()
    browser.weather = CALM
    await browser.run(10_000)
    expect(live().map(({ tab }) => tab)).toEqual([other.tab])
  })

  it('is not a failure if the page is about to leave', async () => {
    const leader = await open()
    const other = await open()
    await leader.tab.do(() => {
      newest().sink.fail({ kind: 'network', message: 'Lost.' })
      leader.connection?.close()
    })
    await settle()
    expect(other.heard).toEqual([])
    expect(live()).toHaveLength(1)
  })

  it('comes at once if the transport cannot even start', async () => {
    const failing: Transport = () => {
      throw new TypeError('No EventSource.')
    }
    const page = await open({ transport: failing })
    expect(page.heard).toEqual(['fail unsupported'])
  })
})

describe('an id', () => {
  it('is reported with its event, and alone only if it has none', async () => {
    const leader = await open()
    const other = await open()
    await report((sink) => {
      sink.activity()
      sink.id('1')
      sink.message({ event: 'message', data: 'a', id: '1' })
      sink.id('2')
    })
    for (const { heard } of [leader, other]) expect(heard).toEqual(['1:a', 'id 2'])
    await leader.disconnect()
    expect(newest().request.lastEventId).toBe('2')
  })
})

describe('retry and retrying', () => {
  it('reach all tabs each time, and late tabs know the delay', async () => {
    const all = [await open(), await open()]
    await report((sink) => {
      sink.retry(10)
      sink.open()
      sink.retrying()
      sink.retrying()
      sink.open()
    })
    await browser.run(15_000)
    for (const { heard } of all) expect(heard).toEqual(['retry 10', 'open', 'retrying', 'retrying', 'open'])
    const late = await open()
    expect(late.heard).toEqual(['retry 10', 'open'])
  })
})
