/**
 * sharedTransport 1.0.0: one connection for all tabs, for useEventSource.
 *
 * Copy it beside useEventSource.ts; it needs nothing else. From the vue-sse project, client/composables/sharedTransport.ts.
 * MIT licence: keep this header.
 *
 *     const transport = sharedTransport({ scope: user.id, transport: nativeTransport })
 *     const { content } = useEventSource('/sse', { transport })
 *
 * How it works: whoever holds a lock (Web Locks) leads, that is, has the connection; it tells the others, who follow, over a
 * BroadcastChannel, and then itself. A lock passes on by itself when its tab is closed or crashes. A leader that hangs, or is
 * frozen without being told, keeps its lock: so followers ask when it is silent, and rob it when it does not answer.
 *
 * Events are numbered. A server that resumes after an id sends what it would have sent, so the number of an event is the same
 * whoever counts: a new leader counts on from where it is, whoever has an event already drops it by its number, and whoever
 * lacks one asks for it by its number.
 */
import type {
  ConnectionFailure,
  RawEvent,
  Transport,
  TransportConnection,
  TransportRequest,
  TransportSink,
} from './useEventSource'

export interface SharedTransportOptions {
  /** What the stream depends on besides its URL and cookies, as the user's id. Tabs of different scopes share nothing. */
  scope: string
  /** Makes the connection of the tab that leads. */
  transport: Transport
}

/** Bounds of what each tab keeps for others that are behind: events, and characters. */
const MAX_EVENTS = 1_000
const MAX_SIZE = 2 ** 20

/** Milliseconds: a leader that was silent for so long is asked, and one that does not answer for so long is robbed. */
const PATIENCE = 400

/** Milliseconds that a handover may take before the page is told that there is no connection. */
const HANDOVER = 1_000

/** A place in a stream. Numbers compare within one line, which begins where nobody knew of an older one. */
interface Position {
  readonly line: string
  readonly n: number
  readonly id: string
}

/** What a connection brings, numbered. */
type Report =
  | { kind: 'open' | 'retrying' | 'activity' }
  | { kind: 'event'; line: string; n: number; event: RawEvent }
  | ({ kind: 'id' } & Position)
  | { kind: 'retry'; delay: number }
  | { kind: 'end'; reason: 'no-content' | 'ended' }
  | { kind: 'fail'; failure: ConnectionFailure }

type Shown = 'connecting' | 'open' | 'retrying'

/** What a leader says to one tab that said hello: what it lacks, or null if that is not known any more. */
interface Welcome {
  kind: 'welcome'
  to: string
  asked: Position
  seen: Position
  missed: RawEvent[] | null
  shown: Shown
  names: string[]
}

type Message =
  | { kind: 'hello'; from: string; seen: Position; names: string[] }
  | { kind: 'listen'; name: string }
  | ((Report | Welcome | { kind: 'lead'; from: string }) & { term: number })

interface Membership {
  listen: (name: string) => void
  leave: () => void
}

/** A transport that shares the connection of another transport between tabs. Where tabs cannot agree, each has its own. */
export function sharedTransport({ scope, transport }: SharedTransportOptions): Transport {
  /** Where the last connection was when it ended. */
  let kept: { group: string; seen: Seen } | null = null

  return (request, sink) => {
    const { locks } = navigator as Partial<Navigator>
    if (!locks || typeof BroadcastChannel === 'undefined') return transport(request, sink)

    const group = JSON.stringify(['sharedTransport 1', scope, request.url, request.withCredentials])
    const past = kept?.group === group && kept.seen.id === request.lastEventId ? kept.seen : null
    const tab: Tab = {
      group,
      request,
      sink,
      transport,
      names: new Set(),
      seen: past ?? new Seen(newLine(request.lastEventId)),
      shown: 'connecting',
      term: 0,
      over: (failed) => close(failed),
    }
    kept = null
    let membership: Membership | null = join(tab, locks)

    // A page that leaves or freezes lets another tab lead, and comes back as one that was away.
    const away = (): void => {
      membership?.leave()
      membership = null
    }
    const back = (): void => void (membership ??= join(tab, locks))
    const listening = new AbortController()
    const { signal } = listening
    addEventListener('pagehide', away, { signal })
    addEventListener('pageshow', back, { signal })
    document.addEventListener('freeze', away, { signal })
    document.addEventListener('resume', back, { signal })

    function close(failed: boolean): void {
      if (signal.aborted) return
      listening.abort()
      away()
      // Without an id, a stream that was stopped starts anew. One that failed goes on: others may have reconnected meanwhile.
      if (tab.seen.id !== '' || failed) kept = { group, seen: tab.seen }
    }

    return {
      listen: (name) => {
        if (tab.names.has(name)) return
        tab.names.add(name)
        membership?.listen(name)
      },
      close: () => close(false),
    }
  }
}

/** What stays of a connection while its page is away. */
interface Tab {
  readonly group: string
  readonly request: TransportRequest
  readonly sink: TransportSink
  readonly transport: Transport
  /** All names that any tab listens to: who leads next needs them before it connects. */
  readonly names: Set<string>
  seen: Seen
  /** What the page was told last. */
  shown: Shown
  /** Of the newest leader heard of: what is said with an older one comes from a leader that was robbed and does not know. */
  term: number
  over: (failed: boolean) => void
}

/** Takes part in a group, until it leaves. */
function join(tab: Tab, locks: LockManager): Membership {
  const { group, sink, names } = tab
  const me = crypto.randomUUID()
  const channel = new BroadcastChannel(group)
  /** `alone`: with a connection of its own, until it is where the others are. */
  let role: 'follows' | 'leads' | 'alone' | 'gone' = 'follows'
  const follows = (): boolean => role === 'follows'
  const isGone = (): boolean => role === 'gone'
  const post = (message: Message): void => channel.postMessage(message)

  // --- What comes: the leader's own reports take the same way as those that followers hear of

  function apply(report: Report): void {
    switch (report.kind) {
      case 'open':
      case 'retrying':
        show(report.kind)
        return
      case 'event':
        take(report.line, report.n, report.event)
        return
      case 'id':
        if (report.line !== tab.seen.line || report.n !== tab.seen.n || report.id === tab.seen.id) return
        tab.seen.id = report.id
        sink.id(report.id)
        return
      case 'activity':
        sink.activity()
        return
      case 'retry':
        sink.retry(report.delay)
        return
      case 'end':
        tab.over(false)
        sink.end(report.reason)
        return
      case 'fail':
        tab.over(true)
        sink.fail(report.failure)
    }
  }

  function show(shown: 'open' | 'retrying'): void {
    // When one tab's connection takes the place of another's, nobody need know.
    const stillOpen = shown === 'open' && tab.shown === 'open'
    tab.shown = shown
    if (stillOpen) sink.activity()
    else sink[shown]()
  }

  function take(line: string, n: number, event: RawEvent): void {
    const { seen } = tab
    if (line !== seen.line || n > seen.n + 1) {
      ask()
      return
    }
    if (n <= seen.n) {
      const known = seen.numbered(n)
      if (!known || isSame(known, event)) return
      // The server did not resume, and this is news under an old number.
      tab.seen = new Seen({ line, n: n - 1, id: '' })
    }
    tab.seen.add(event)
    sink.message(event)
  }

  // --- A connection of this tab's, because it leads or is alone

  let connection: TransportConnection | null = null
  let connections = 0
  /** For what is to be said of the connection later. */
  let timer: ReturnType<typeof setTimeout> | undefined

  function connect(tell: (report: Report) => void): void {
    const mine = ++connections
    const { line, id: lastEventId } = tab.seen
    let { n } = tab.seen
    let idAlone: string | null = null
    const say = (report: Report): void => {
      if (mine === connections) tell(report)
    }
    try {
      const made = tab.transport(
        { ...tab.request, lastEventId },
        {
          open: () => say({ kind: 'open' }),
          message: (event) => {
            idAlone = null
            say({ kind: 'event', line, n: ++n, event })
          },
          retrying: () => say({ kind: 'retrying' }),
          activity: () => say({ kind: 'activity' }),
          retry: (delay) => say({ kind: 'retry', delay }),
          id: (id) => {
            // Not before an event that it belongs to: whoever had only that much of it would resume after what it never got.
            idAlone = id
            queueMicrotask(() => {
              if (idAlone === id) say({ kind: 'id', line, n, id })
            })
          },
          end: (reason) => say({ kind: 'end', reason }),
          fail: (failure) => {
            // In a later task: a page that is about to leave loses its connection first, and that is no failure of the stream.
            clearTimeout(timer)
            timer = setTimeout(() => say({ kind: 'fail', failure }))
          },
        },
      )
      if (mine !== connections) {
        made.close()
        return
      }
      connection = made
      for (const name of names) made.listen(name)
    } catch (cause) {
      say({ kind: 'fail', failure: { kind: 'unsupported', message: 'The transport could not start.', cause } })
    }
  }

  function disconnect(): void {
    connections++
    connection?.close()
    connection = null
    clearTimeout(timer)
  }

  // --- Leading

  let withdraw = new AbortController()
  let release: () => void = noop
  let claim = 0

  function queue(): void {
    withdraw = new AbortController()
    acquire({ signal: withdraw.signal })
  }

  function acquire(options: LockOptions): void {
    let mine: typeof release | undefined
    const held = (): Promise<void> =>
      new Promise((resolve) => {
        mine = release = resolve
        if (follows()) lead()
        else release()
      })
    locks.request(group, options, held).catch((cause: unknown) => {
      if (isGone()) return
      if (mine === release) stepDown()
      else if (!isAbort(cause)) goAlone()
    })
  }

  /**
   * Messages keep their order, whoever sends them: when its own claim comes back, a new leader has heard all that the old one
   * said, also that the stream has failed or is finished, and tabs that hear the claim have, too.
   */
  function lead(): void {
    role = 'leads'
    // A time, so that it is also newer than a term that nobody is left to tell of.
    claim = Math.max(Date.now(), tab.term + 1)
    // A channel does not hear itself.
    const other = new BroadcastChannel(group)
    other.postMessage({ kind: 'lead', from: me, term: claim } satisfies Message)
    other.close()
  }

  function serve(): void {
    tab.term = claim
    const tell = (report: Report): void => {
      opened ||= report.kind === 'open'
      // The others first: to handle it here may end this connection.
      post({ ...portable(report), term: claim })
      apply(report)
    }
    let opened = false
    timer = setTimeout(() => {
      if (!opened && tab.shown === 'open') tell({ kind: 'retrying' })
    }, HANDOVER)
    // The silence of the last connection is not that of this one.
    tell({ kind: 'activity' })
    connect(tell)
  }

  function welcome({ from, seen }: Message & { kind: 'hello' }): void {
    post({
      kind: 'welcome',
      term: claim,
      to: from,
      asked: seen,
      seen: tab.seen.position(),
      missed: tab.seen.after(seen),
      shown: tab.shown,
      names: [...names],
    })
  }

  function stepDown(): void {
    disconnect()
    release()
    release = noop
    role = 'follows'
    queue()
    hello()
  }

  // --- Following

  /** A question is under way. */
  let asking = false
  /** Ticks since the leader was heard. */
  let silence = 0
  /** Who holds the lock and was asked. */
  let suspect: string | undefined

  function hello(): void {
    asking = true
    post({ kind: 'hello', from: me, seen: tab.seen.position(), names: [...names] })
  }

  function ask(): void {
    if (!asking) hello()
  }

  function welcomed({ asked, seen: leader, missed, shown }: Welcome): void {
    asking = false
    const { seen } = tab
    const { line } = leader
    if (asked.line !== seen.line) {
      ask()
      return
    }
    // So far behind that nobody knows what it lacks, or so far ahead that it cannot compare what comes with what it has.
    if (missed === null || (line === seen.line && leader.n < seen.oldest())) {
      if (asked.n !== seen.n || asked.id !== seen.id) ask()
      else if (follows()) goAlone()
      return
    }

    let n = leader.n - missed.length
    if (line !== seen.line || n > seen.n) {
      const isNew = seen.id === ''
      // A tab that is alone has moved on since it asked.
      tab.seen = new Seen(isNew ? leader : { line, n: n + seen.n - asked.n, id: seen.id })
      if (isNew && leader.id !== '') sink.id(leader.id)
    }
    if (role === 'alone') {
      disconnect()
      role = 'follows'
      queue()
    }
    if (shown !== 'connecting' && shown !== tab.shown) show(shown)
    for (const event of missed) if (!isGone()) take(line, ++n, event)
    if (!isGone()) apply({ kind: 'id', ...leader })
  }

  /** The leader does not know any more what this tab lacks, but the server may. */
  function goAlone(): void {
    role = 'alone'
    withdraw.abort()
    disconnect()
    tab.seen = new Seen(newLine(tab.seen.id))
    connect((report) => {
      apply(report)
      if (report.kind === 'event' && !isGone()) ask()
    })
  }

  /** Timers of hidden tabs are late: silence alone proves nothing, but a question without an answer does. */
  function tick(): void {
    asking = false
    silence++
    // A tab that knows nothing of the stream would lead it from its start: it leaves the others the time to do better.
    const patience = tab.seen.id === '' && tab.seen.n === 0 ? 3 : 1
    if (follows() && silence > patience) void doubt().catch(noop)
  }

  /** Asks a silent leader, and robs it the next time; but not one that has just taken its place, be it by robbing it. */
  async function doubt(): Promise<void> {
    const { held = [] } = await locks.query()
    const holder = held.find(({ name }) => name === group)?.clientId
    if (!follows() || silence === 0) return
    if (holder === undefined || holder !== suspect) {
      suspect = holder
      hello()
    } else {
      silence = 0
      withdraw.abort()
      acquire({ steal: true })
    }
  }

  // --- The channel

  function learn(name: string): void {
    names.add(name)
    connection?.listen(name)
  }

  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.kind === 'hello') {
      data.names.forEach(learn)
      if (role === 'leads' && connection) welcome(data)
    } else if (data.kind === 'listen') learn(data.name)
    else if (data.kind === 'lead' && data.from === me) {
      if (role !== 'leads' || data.term !== claim || connection) return
      if (claim > tab.term) serve()
      else lead()
    } else if (data.term >= tab.term) heard(data)
  }

  function heard(message: Exclude<Message, { kind: 'hello' | 'listen' }>): void {
    tab.term = message.term
    silence = 0
    suspect = undefined
    if (connection && role === 'leads') stepDown()
    else if (message.kind === 'lead') hello()
    else if (message.kind === 'welcome') {
      if (message.to !== me) return
      message.names.forEach(learn)
      welcomed(message)
    } else if (role === 'alone') ask()
    else apply(message)
  }

  const ticker = setInterval(tick, PATIENCE * (0.75 + Math.random() / 2))
  hello()
  queue()

  return {
    listen: (name) => {
      connection?.listen(name)
      post({ kind: 'listen', name })
    },
    leave: () => {
      role = 'gone'
      clearInterval(ticker)
      withdraw.abort()
      // Before the lock is released: there are never two connections.
      disconnect()
      release()
      channel.close()
    },
  }
}

/** Where a tab is in the stream, and the newest events before that, for tabs that are behind. */
class Seen {
  readonly line: string
  n: number
  id: string
  /** The id before the first of the events. */
  private floor: string
  private size = 0
  private readonly events: RawEvent[] = []

  constructor({ line, n, id }: Position) {
    this.line = line
    this.n = n
    this.id = this.floor = id
  }

  position(): Position {
    return { line: this.line, n: this.n, id: this.id }
  }

  /** The number before the first of the events. */
  oldest(): number {
    return this.n - this.events.length
  }

  numbered(n: number): RawEvent | undefined {
    return this.events[n - this.oldest() - 1]
  }

  add(event: RawEvent): void {
    this.n++
    this.id = event.id
    this.events.push(event)
    this.size += sizeOf(event)
    while (this.events.length > MAX_EVENTS || this.size > MAX_SIZE) {
      const dropped = this.events.shift()
      if (!dropped) return
      this.floor = dropped.id
      this.size -= sizeOf(dropped)
    }
  }

  /** What came after a position; null if that is not known. By number, and in doubt by id, as a server would. */
  after({ line, n, id }: Position): RawEvent[] | null {
    if (line === this.line && n > this.n) return []
    const idThen = n === this.n ? this.id : n === this.oldest() ? this.floor : this.numbered(n)?.id
    if (line === this.line && id === idThen) return this.events.slice(n - this.oldest())
    if (id === '') return []
    const ids = [this.floor, ...this.events.map((event) => event.id)]
    if (ids.includes(id)) return this.events.slice(ids.indexOf(id))
    return id === this.id ? [] : null
  }
}

const noop = (): void => undefined

function newLine(id: string): Position {
  return { line: crypto.randomUUID(), n: 0, id }
}

function sizeOf({ event, data, id }: RawEvent): number {
  return event.length + data.length + id.length
}

function isSame(one: RawEvent, other: RawEvent): boolean {
  return one.event === other.event && one.data === other.data && one.id === other.id
}

function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError'
}

/** What can be sent to other tabs: headers and causes cannot. */
function portable(report: Report): Report {
  return report.kind === 'fail'
    ? { kind: 'fail', failure: { ...report.failure, headers: undefined, cause: undefined } }
    : report
}
