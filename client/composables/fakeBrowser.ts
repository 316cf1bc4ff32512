/**
 * For tests: a browser whose tabs run in one process. Each tab has its own timers, listeners, locks and channels, and can hang,
 * freeze or crash alone. Time passes only while `run` runs, and the same seed repeats everything.
 *
 * A page's code runs within `tab.do`, or in a task of that tab: its `setTimeout`, `BroadcastChannel` and `navigator` are that
 * tab's.
 */

interface Task {
  readonly at: number
  readonly tab: FakeTab | null
  readonly source: string
  readonly run: () => void
}

interface LockRequest {
  readonly tab: FakeTab
  readonly name: string
  readonly grant: () => Promise<unknown>
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
  /** Granted and taken, or withdrawn. */
  isRunning: boolean
}

interface Listener {
  readonly type: string
  readonly handle: (event: Event) => void
  readonly signal: AbortSignal | undefined
}

/** The share of messages that are lost, or late by up to three seconds. */
export interface Weather {
  readonly lost: number
  readonly late: number
}

export const CALM: Weather = { lost: 0, late: 0 }

const { setImmediate } = globalThis as unknown as { setImmediate: (run: () => void) => void }

export class FakeBrowser {
  now = 1_800_000_000_000
  weather: Weather = CALM
  readonly random: () => number
  readonly channels = new Set<FakeChannel>()
  readonly locks = new FakeLocks(this)
  tabs: FakeTab[] = []
  current: FakeTab | null = null
  #tasks: Task[] = []
  #ids = 0
  #replaced: (() => void)[] = []

  constructor(seed: number) {
    this.random = generator(seed)
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  tab(): FakeTab {
    const tab = new FakeTab(this, String(++this.#ids))
    this.tabs.push(tab)
    return tab
  }

  /** @param tab The tab it runs in; null for the browser's own process, which neither hangs nor crashes. */
  schedule(tab: FakeTab | null, source: string, delay: number, run: () => void): void {
    const due = this.now + delay
    const before = this.#tasks.findLastIndex(({ at }) => at <= due)
    this.#tasks.splice(before + 1, 0, { at: due, tab, source, run })
  }

  /** Lets milliseconds pass. */
  async run(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds
    for (let task = this.#tasks[0]; task && task.at <= end; task = this.#tasks[0]) {
      this.#tasks.shift()
      this.now = Math.max(this.now, task.at)
      if (!task.tab) task.run()
      else if (task.tab.isGone) continue
      else if (task.tab.isHanging) task.tab.backlog.push(task)
      else await this.enter(task.tab, task.run)
    }
    this.now = end
  }

  /** Runs code of a tab, and its microtasks. */
  async enter(tab: FakeTab, run: () => void): Promise<void> {
    this.current = tab
    run()
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.current = null
  }

  /** Tasks left over when a tab began to hang. Each source keeps its order, but the order between sources is arbitrary. */
  wake(tab: FakeTab, first = ''): void {
    const sources = [...new Set(tab.backlog.map(({ source }) => source))]
    const places = new Map(sources.map((source) => [source, this.random()]))
    const place = ({ source }: Task): number => (source === first ? -1 : (places.get(source) ?? 0))
    for (const { source, run } of tab.backlog.splice(0).sort((a, b) => place(a) - place(b)))
      this.schedule(tab, source, 0, run)
  }

  /** Makes the globals those of the running tab. */
  install(): void {
    const here = (): FakeTab => {
      if (!this.current) throw new Error('No tab is running.')
      return this.current
    }
    const channelOf = (name: string): FakeChannel => new FakeChannel(this, here(), name)
    this.#replace(globalThis, {
      navigator: { locks: this.locks },
      // Called with `new`, it returns the channel.
      BroadcastChannel: function (name: string) {
        return channelOf(name)
      },
      addEventListener: (type: string, handle: Listener['handle'], options?: AddEventListenerOptions) =>
        here().listen(`window ${type}`, handle, options?.signal),
      document: {
        addEventListener: (type: string, handle: Listener['handle'], options?: AddEventListenerOptions) =>
          here().listen(`document ${type}`, handle, options?.signal),
      },
      setTimeout: (run: () => void, delay = 0) => here().timer(run, delay, false),
      setInterval: (run: () => void, delay = 0) => here().timer(run, delay, true),
      clearTimeout: (timer?: Timer) => timer?.cancel(),
      clearInterval: (timer?: Timer) => timer?.cancel(),
    })
    this.#replace(Date, { now: () => this.now })
    this.#replace(Math, { random: this.random })
    this.#replace(crypto, { randomUUID: () => `tab-${++this.#ids}` })
  }

  uninstall(): void {
    for (const restore of this.#replaced.splice(0)) restore()
  }

  #replace(target: object, values: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(values)) {
      const before = Object.getOwnPropertyDescriptor(target, name)
      Object.defineProperty(target, name, { value, configurable: true, writable: true })
      this.#replaced.push(() => {
        if (before) Object.defineProperty(target, name, before)
        else Reflect.deleteProperty(target, name)
      })
    }
  }
}

interface Timer {
  cancel: () => void
}

export class FakeTab {
  readonly id: string
  readonly backlog: Task[] = []
  isHanging = false
  isGone = false
  /** Milliseconds between timers: a hidden tab's are late. */
  throttle = 0
  readonly #browser: FakeBrowser
  #listeners: Listener[] = []
  /** When the tab's last message reaches the browser. */
  #sent = 0

  constructor(browser: FakeBrowser, id: string) {
    this.#browser = browser
    this.id = id
  }

  do(run: () => void): Promise<void> {
    return this.#browser.enter(this, run)
  }

  hang(): void {
    this.isHanging = true
  }

  /** @param first The source whose tasks run first: `network`, `locks`, `timer`. */
  wake(first = ''): void {
    this.isHanging = false
    this.#browser.wake(this, first)
  }

  /** A long task. */
  async busy(milliseconds: number): Promise<void> {
    this.hang()
    await this.#browser.run(milliseconds)
    this.wake()
  }

  async freeze(): Promise<void> {
    await this.dispatch('document freeze')
    this.hang()
  }

  async thaw(): Promise<void> {
    this.wake()
    await this.dispatch('document resume')
  }

  /** The tab is gone without notice. The browser gives its locks to others. */
  crash(): void {
    this.isGone = true
    for (const channel of this.#browser.channels) if (channel.tab === this) this.#browser.channels.delete(channel)
    this.#browser.locks.drop(this)
  }

  async close(): Promise<void> {
    await this.dispatch('window pagehide')
    this.crash()
  }

  dispatch(type: string): Promise<void> {
    return this.do(() => {
      for (const listener of [...this.#listeners])
        if (listener.type === type && !listener.signal?.aborted) listener.handle(new Event(type))
    })
  }

  listen(type: string, handle: Listener['handle'], signal: AbortSignal | undefined): void {
    this.#listeners = this.#listeners.filter((listener) => !listener.signal?.aborted)
    this.#listeners.push({ type, handle, signal })
  }

  /** Messages reach the browser in order, even after the tab is gone. */
  toBrowser(run: () => void): void {
    const { now, random } = this.#browser
    this.#sent = Math.max(this.#sent, now + random() * 3)
    this.#browser.schedule(null, 'channel', this.#sent - now, run)
  }

  timer(run: () => void, delay: number, repeats: boolean): Timer {
    const due = (): number => {
      const at = this.#browser.now + delay
      return (this.throttle > 0 ? Math.ceil(at / this.throttle) * this.throttle : at) - this.#browser.now
    }
    let isOver = false
    const next = (): void => {
      this.#browser.schedule(this, 'timer', due(), () => {
        if (isOver) return
        if (repeats) next()
        run()
      })
    }
    next()
    return {
      cancel: () => {
        isOver = true
      },
    }
  }
}

/**
 * Every message goes through the browser. One tab's messages reach it in order, and from there all messages to one receiver keep their
 * order. Locks take another route: a lock that was released after a message may be granted before the message arrives.
 */
export class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null
  readonly name: string
  readonly tab: FakeTab
  readonly #browser: FakeBrowser
  #last = 0

  constructor(browser: FakeBrowser, tab: FakeTab, name: string) {
    this.name = name
    this.tab = tab
    this.#browser = browser
    browser.channels.add(this)
  }

  postMessage(message: unknown): void {
    if (!this.#browser.channels.has(this)) throw new DOMException('The channel is closed.', 'InvalidStateError')
    const data: unknown = structuredClone(message)
    this.tab.toBrowser(() => {
      for (const other of this.#browser.channels) if (other !== this && other.name === this.name) other.#carry(data)
    })
  }

  #carry(data: unknown): void {
    const { weather, now, random } = this.#browser
    if (weather.lost > 0 && random() < weather.lost) return
    const deliver = (): void => {
      if (this.#browser.channels.has(this)) this.onmessage?.({ data })
    }
    if (weather.late > 0 && random() < weather.late) {
      this.#browser.schedule(this.tab, `late ${random()}`, random() * 3_000, deliver)
      return
    }
    this.#last = Math.max(this.#last, now + random() * 3)
    this.#browser.schedule(this.tab, `channel ${this.name}`, this.#last - now, deliver)
  }

  close(): void {
    this.#browser.channels.delete(this)
  }
}

/** Exclusive locks, as far as these tests need them. */
class FakeLocks {
  /** How often a lock was stolen. */
  stolen = 0
  isRefused = false
  readonly #held = new Map<string, LockRequest>()
  #pending: LockRequest[] = []
  readonly #browser: FakeBrowser

  constructor(browser: FakeBrowser) {
    this.#browser = browser
  }

  request(name: string, options: LockOptions, callback: () => Promise<unknown>): Promise<void> {
    const tab = this.#browser.current
    if (!tab) throw new Error('No tab is running.')
    if (this.isRefused) return Promise.reject(new DOMException('No.', 'SecurityError'))
    return new Promise((resolve, reject) => {
      const request: LockRequest = { tab, name, grant: callback, resolve, reject, isRunning: false }
      if (options.steal) {
        this.stolen++
        const victim = this.#held.get(name)
        if (victim) this.#task(victim.tab, () => victim.reject(new DOMException('Stolen.', 'AbortError')))
        this.#hold(request)
        return
      }
      this.#pending.push(request)
      options.signal?.addEventListener('abort', () => {
        if (request.isRunning) return
        request.isRunning = true
        this.#pending = this.#pending.filter((one) => one !== request)
        this.#release(name, request)
        reject(new DOMException('Withdrawn.', 'AbortError'))
      })
      this.#next(name)
    })
  }

  query(): Promise<LockManagerSnapshot> {
    const tab = this.#browser.current
    if (!tab) throw new Error('No tab is running.')
    const name = ({ name, tab: { id } }: LockRequest): LockInfo => ({ name, clientId: id, mode: 'exclusive' })
    return new Promise((resolve) => {
      const snapshot = { held: [...this.#held.values()].map(name), pending: this.#pending.map(name) }
      this.#task(tab, () => resolve(snapshot))
    })
  }

  /** Removes everything of a tab that is gone. */
  drop(tab: FakeTab): void {
    this.#pending = this.#pending.filter((request) => request.tab !== tab)
    for (const [name, request] of this.#held) if (request.tab === tab) this.#release(name, request)
  }

  get size(): number {
    return this.#held.size + this.#pending.length
  }

  #task(tab: FakeTab, run: () => void): void {
    this.#browser.schedule(tab, 'locks', 0.5, run)
  }

  #next(name: string): void {
    if (this.#held.has(name)) return
    const request = this.#pending.find((one) => one.name === name)
    if (!request) return
    this.#pending = this.#pending.filter((one) => one !== request)
    this.#hold(request)
  }

  #hold(request: LockRequest): void {
    const { name, tab, grant, resolve } = request
    this.#held.set(name, request)
    this.#task(tab, () => {
      if (request.isRunning) return
      request.isRunning = true
      void grant().then(() => {
        this.#release(name, request)
        resolve()
      })
    })
  }

  #release(name: string, request: LockRequest): void {
    if (this.#held.get(name) !== request) return
    this.#held.delete(name)
    this.#next(name)
  }
}

/** Random numbers from 0 to 1, reproducible by a seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
