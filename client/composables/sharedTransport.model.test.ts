// @vitest-environment node
/**
 * Random histories of tabs that share streams, against a simple model: every tab gets each event of its names exactly once, in
 * order, from where it joined, or all there have ever been.
 *
 * `HISTORIES=10000 npx vitest run sharedTransport.model` is the long run; `SEED=…` begins with the history that failed.
 */
import { expect, it } from 'vitest'
import { CALM, FakeBrowser, type FakeTab } from './fakeBrowser'
import { sharedTransport } from './sharedTransport'
import type { Transport, TransportConnection, TransportRequest, TransportSink } from './useEventSource'

const HISTORIES = Number(process.env['HISTORIES'] ?? 200)
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

const NAMES = ['message', 'a', 'b', 'c']
/** Six of them exceed what a tab keeps for others. */
const LONG = 'x'.repeat(2 ** 18)

interface Published {
  readonly n: number
  readonly event: string
  readonly isLong: boolean
}

interface Rules {
  /** Events have ids, and a connection resumes after its id. Otherwise it receives only what is published while it is open. */
  readonly ids: boolean
  /** A new stream starts with an id that says where it is. */
  readonly greets: boolean
  /** A new stream begins with all that was ever published, and every tab wants that. */
  readonly fromStart: boolean
  /** Like `fetchTransport`: a connection receives every event, and fails when it is lost. Otherwise like native EventSource. */
  readonly all: boolean
}

/** A server, and the inner transport that connects to it. */
class Server {
  readonly published: Published[] = []
  readonly connections: Connection[] = []
  isDown = false
  readonly browser: FakeBrowser
  readonly rules: Rules

  constructor(browser: FakeBrowser, rules: Rules) {
    this.browser = browser
    this.rules = rules
  }

  get top(): number {
    return this.published.length
  }

  get live(): Connection[] {
    return this.connections.filter(({ isOver, tab }) => !isOver && !tab.isGone)
  }

  readonly transport: Transport = Object.assign(
    (request: TransportRequest, sink: TransportSink): TransportConnection => {
      if (!this.browser.current) throw new Error('No tab is running.')
      const connection = new Connection(this, this.browser.current, request, sink)
      this.connections.push(connection)
      return connection
    },
    { receivesAllEvents: false },
  )

  publish(event: string, isLong = false): void {
    this.published.push({ n: this.top + 1, event, isLong })
    for (const connection of this.live) connection.send()
  }
}

class Connection implements TransportConnection {
  isOver = false
  readonly tab: FakeTab
  /** Events without an id, as reported. */
  readonly reported: number[] = []
  readonly #server: Server
  readonly #sink: TransportSink
  readonly #names = new Set<string>()
  #id: string
  /** The server's position in the stream; null before it has answered. */
  #sent: number | null = null
  #life = 0
  #last = 0

  constructor(server: Server, tab: FakeTab, request: TransportRequest, sink: TransportSink) {
    this.#server = server
    this.#sink = sink
    this.tab = tab
    this.#id = request.lastEventId
    this.#connect()
  }

  listen(name: string): void {
    this.#names.add(name)
  }

  close(): void {
    this.isOver = true
  }

  #connect(): void {
    const { browser, rules } = this.#server
    this.#after(5 + browser.random() * 40, () => {
      if (this.#server.isDown) this.lose()
      else {
        const isFresh = !rules.ids || this.#id === ''
        const fresh = rules.fromStart ? 0 : this.#server.top
        this.#sent = isFresh ? fresh : Number(this.#id)
        const at = String(this.#sent)
        this.#after(browser.random() * 20, () => {
          this.#sink.open()
          if (isFresh && rules.ids && rules.greets && !this.isOver) {
            this.#id = at
            this.#sink.id(at)
          }
        })
        this.send()
      }
    })
  }

  /** The events published since. */
  send(): void {
    if (this.#sent === null) return
    for (const { n, event, isLong } of this.#server.published.slice(this.#sent)) {
      this.#sent = n
      this.#after(this.#server.browser.random() * 20, () => this.#report(n, event, isLong ? LONG : ''))
    }
  }

  #report(n: number, event: string, text: string): void {
    const { ids, all } = this.#server.rules
    if (ids) this.#id = String(n)
    if (!all && !this.#names.has(event)) return
    this.reported.push(n)
    const at = `${this.#server.connections.indexOf(this)} ${this.reported.length - 1}`
    if (all) {
      this.#sink.activity()
      if (ids) this.#sink.id(this.#id)
    }
    this.#sink.message({ event, data: `${n} ${at} ${text}`, id: this.#id })
  }

  /** Loses the connection, with everything not read yet. */
  lose(): void {
    if (this.isOver) return
    this.#life++
    this.#sent = null
    const { browser, rules } = this.#server
    this.#after(1, () => {
      if (rules.all) this.#sink.fail({ kind: 'network', message: 'Lost.' })
      else {
        this.#sink.retrying()
        const life = ++this.#life
        browser.schedule(this.tab, 'network', 100 + browser.random() * 300, () => {
          if (!this.isOver && life === this.#life) this.#connect()
        })
      }
    })
  }

  /** Runs in a task of the tab, in order. */
  #after(delay: number, run: () => void): void {
    const { browser } = this.#server
    const life = this.#life
    this.#last = Math.max(this.#last, browser.now + delay)
    browser.schedule(this.tab, 'network', this.#last - browser.now, () => {
      if (!this.isOver && life === this.#life) run()
    })
  }
}

/** Behaves like the composable, and checks everything it receives. */
class Page {
  readonly tab: FakeTab
  /** The position from which each name is listened to; null if that is where the page joined. */
  readonly names = new Map<string, number | null>()
  readonly heard: number[] = []
  /** Where it joined. */
  start: number | null = null
  isOpen = false
  readonly #server: Server
  readonly #transport: Transport
  #connection: TransportConnection | null = null
  #id = ''
  #wasOpen = false
  #retry = 0
  /** The previous event, as connection and number within it; null if any event may come next. */
  #before: { connection: number; at: number } | null = null

  readonly #isGentle: boolean

  constructor(server: Server, tab: FakeTab, names: readonly string[], isGentle: boolean) {
    this.#server = server
    this.tab = tab
    this.#isGentle = isGentle
    for (const name of names) this.names.set(name, null)
    this.#transport = sharedTransport({
      scope: 'me',
      fromStart: server.rules.fromStart,
      transport: Object.assign(server.transport, { receivesAllEvents: server.rules.all }),
    })
  }

  connect(): void {
    const mine = ++this.#retry
    if (this.#id === '') this.#before = null
    const ifMine =
      <Args extends unknown[]>(handle: (...args: Args) => void) =>
      (...args: Args): void => {
        if (mine === this.#retry) handle(...args)
      }
    const noop = (): void => undefined
    this.#connection = this.#transport(
      {
        url: 'http://localhost/sse',
        lastEventId: this.#id,
        lastEventIdParam: false,
        withCredentials: false,
        wasOpen: this.#wasOpen,
      },
      {
        open: ifMine(() => {
          this.isOpen = this.#wasOpen = true
        }),
        message: ifMine(({ event, data, id }) => this.#hear(event, data, id)),
        retrying: ifMine(() => {
          this.isOpen = false
        }),
        activity: noop,
        retry: noop,
        id: ifMine((id) => {
          this.#id = id
          if (this.heard.length === 0 && this.start === null) this.start = Number(id)
        }),
        end: noop,
        fail: ifMine(() => {
          this.disconnect()
          const retry = this.#retry
          setTimeout(() => {
            if (retry === this.#retry) this.connect()
          }, Math.random() * 1_500)
        }),
      },
    )
    for (const name of this.names.keys()) this.#connection.listen(name)
  }

  disconnect(): void {
    this.#retry++
    this.isOpen = false
    this.#connection?.close()
    this.#connection = null
    this.#before = null
  }

  listen(name: string): void {
    if (this.names.has(name)) return
    this.names.set(name, this.#id === '' ? null : Number(this.#id))
    this.#connection?.listen(name)
    // Native moves to another group, where events without an id are not repeated.
    if (!this.#server.rules.all) this.#before = null
  }

  #hear(event: string, data: string, id: string): void {
    const [n = 0, connection = 0, at = 0] = data.split(' ', 3).map(Number)
    if (!this.isOpen) throw new Error(`${n} came while the page was not told that the stream is open.`)
    if (this.#server.rules.ids) {
      this.#id = id
      this.start ??= n - 1
    } else {
      const before = this.#before
      if (before?.connection === connection && at !== before.at + 1)
        throw new Error(`${at} of connection ${connection} came after ${before.at}.`)
      if (this.#isGentle && before && before.connection !== connection && at !== 0)
        throw new Error(`A new connection began with its event ${at}.`)
      this.#before = { connection, at }
    }
    if (this.names.has(event)) this.heard.push(n)
  }

  /** The events it should have received. */
  get expected(): number[] {
    const start = this.#server.rules.fromStart ? 0 : this.start
    if (start === null) return []
    return this.#server.published
      .filter(({ n, event }) => {
        const from = this.names.get(event)
        return from !== undefined && n > Math.max(start, from ?? 0)
      })
      .map(({ n }) => n)
  }
}

interface Tally {
  events: number
  tabs: number
  connections: number
  stolen: number
  acts: Record<string, number>
}

async function history(seed: number, tally: Tally): Promise<void> {
  const browser = new FakeBrowser(seed)
  const { random } = browser
  const chance = (share: number): boolean => random() < share
  const ids = chance(0.75)
  const rules: Rules = { ids, greets: chance(0.7), fromStart: ids && chance(0.4), all: chance(0.5) }
  /** Nothing makes two tabs lead at once: then even streams without ids do not repeat an event. */
  const isGentle = chance(0.3)
  const server = new Server(browser, rules)
  const pages: Page[] = []
  const asleep: { page: Page; wake: () => Promise<void> }[] = []
  const done: string[] = []
  const any = (): Page | undefined => pages[browser.below(pages.length)]
  const take = (): Page | undefined => pages.splice(browser.below(pages.length), 1)[0]
  const name = (): string => NAMES[browser.below(NAMES.length)] ?? ''

  async function sleep(how: 'freeze' | 'hang' | 'bfcache'): Promise<void> {
    const page = take()
    if (!page) return
    const { tab } = page
    if (how === 'freeze') await tab.freeze()
    else {
      if (how === 'bfcache') await tab.dispatch('window pagehide')
      tab.hang()
    }
    const wake = async (): Promise<void> => {
      if (how === 'freeze') await tab.thaw()
      else tab.wake()
      if (how === 'bfcache') await tab.dispatch('window pageshow')
      pages.push(page)
    }
    asleep.push({ page, wake })
  }

  const acts: Record<string, () => unknown> = {
    open: async () => {
      const tab = browser.tab()
      if (chance(0.3)) tab.throttle = 1_000
      const page = new Page(server, tab, ['message', ...(chance(0.5) ? [name()] : [])], isGentle)
      pages.push(page)
      tally.tabs++
      await tab.do(() => page.connect())
    },
    close: () => take()?.tab.close(),
    crash: () => take()?.tab.crash(),
    freeze: () => sleep('freeze'),
    bfcache: () => sleep('bfcache'),
    wake: () => asleep.splice(browser.below(asleep.length), 1)[0]?.wake(),
    listen: () => {
      const page = any()
      return page?.tab.do(() => {
        page.listen(name())
        if (chance(0.3)) page.listen(name())
      })
    },
    stopAndStart: async () => {
      const page = take()
      if (!page) return
      await page.tab.do(() => page.disconnect())
      await browser.run(random() * 2_000)
      await page.tab.do(() => page.connect())
      pages.push(page)
    },
    burst: () => {
      for (let n = browser.below(30); n > 0; n--) server.publish(name())
    },
    ...(rules.ids && {
      long: () => {
        for (let n = browser.below(8); n > 0; n--) server.publish(name(), true)
      },
      cut: () => server.live.forEach((connection) => connection.lose()),
      outage: async () => {
        server.isDown = true
        for (const connection of server.live) connection.lose()
        await browser.run(random() * 3_000)
        server.isDown = false
      },
    }),
    ...(!isGentle && {
      hang: () => sleep('hang'),
      task: async () => {
        const page = take()
        if (!page) return
        await page.tab.busy(random() * 3_000)
        pages.push(page)
      },
      weather: () => {
        browser.weather = chance(0.5) ? CALM : { lost: random() * 0.2, late: random() * 0.2 }
      },
    }),
  }

  /** Tabs that are awake, and lose no more messages, get everything within the time it takes to steal a lock. */
  async function check(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      server.publish(NAMES[turn % NAMES.length] ?? '')
      await browser.run(1_000)
    }
    const calm = server.top
    for (const event of NAMES) server.publish(event)
    await browser.run(1_000)

    const groups = new Set(pages.map(({ names }) => (rules.all ? 'all' : [...names.keys()].sort().join())))
    expect(
      server.live.filter(({ tab }) => !tab.isHanging),
      'connections',
    ).toHaveLength(groups.size)
    for (const { heard, expected, names } of pages) {
      const news = server.published.slice(calm).filter(({ event }) => names.has(event))
      expect(heard.filter((n) => n > calm)).toEqual(news.map(({ n }) => n))
      if (rules.ids) expect(heard, 'events').toEqual(expected)
      if (isGentle) expect(heard).toEqual([...new Set(heard)].sort((a, b) => a - b))
    }
  }

  browser.install()
  try {
    for (let steps = 10 + browser.below(30); steps > 0; steps--) {
      const drawn = Object.keys(acts)[browser.below(Object.keys(acts).length)] ?? ''
      const act = pages.length < 2 ? 'open' : drawn
      done.push(act)
      tally.acts[act] = (tally.acts[act] ?? 0) + 1
      await acts[act]?.()
      for (let turns = browser.below(6); turns > 0; turns--) {
        if (chance(0.7)) server.publish(name())
        await browser.run(random() * (chance(0.1) ? 6_000 : 200))
      }
    }
    browser.weather = CALM
    // First without sleeping tabs, whatever locks they hold.
    await check()
    for (const { wake } of asleep.splice(0)) await wake()
    await check()
    for (const { tab } of pages) await tab.close()
    expect(browser.locks.size + browser.channels.size + server.live.length, 'what is left').toBe(0)
    tally.events += server.top
    tally.connections += server.connections.length
    tally.stolen += browser.locks.stolen
    if (isGentle) expect(browser.locks.stolen, 'stolen locks').toBe(0)
  } catch (cause) {
    throw new Error(`SEED=${seed}, ${JSON.stringify({ ...rules, isGentle })}: ${done.join(' ')}`, { cause })
  } finally {
    browser.uninstall()
  }
}

it(`${HISTORIES} random histories lose nothing and repeat nothing`, { timeout: 60_000 + HISTORIES * 200 }, async () => {
  const tally: Tally = { events: 0, tabs: 0, connections: 0, stolen: 0, acts: {} }
  for (let n = 0; n < HISTORIES; n++) await history(SEED + n, tally)
  console.log(`${HISTORIES} histories from SEED=${SEED}: ${JSON.stringify(tally)}`)
})
