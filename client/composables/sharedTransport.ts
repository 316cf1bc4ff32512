/**
 * sharedTransport 2.0.0: one connection for all tabs, for useEventSource.
 *
 * Copy it beside useEventSource.ts; it needs nothing else. From the vue-event-stream project, client/composables/sharedTransport.ts.
 * MIT licence: keep this header. Changes: CHANGELOG.md of the project.
 *
 *     const transport = sharedTransport({ scope: user.id, transport: fetchTransport() })
 *     const { content } = useEventSource('/sse', { transport })
 *
 * Tabs with the same scope, URL and credentials form a group. The tab that holds the group's lock (Web Locks) leads: it has the
 * connection, and reports everything it receives to the others over a BroadcastChannel, then to itself. The browser passes the lock
 * on when its tab is closed or crashes, and a tab that is left or frozen releases it.
 *
 *                     welcome                       lock, echo
 *      joining ───────────────────────▶ follower ────────────────▶ leader
 *       │ ▲ ▲                              │ ▲                       ▲ │
 *       │ │ └── a report is missing, or ───┘ │                       │ │
 *       │ │     another tab leads            │ welcome               │ │
 *       │ │                                  │        lock, echo     │ │
 *       └─│── the leader does not know ────▶ alone ──────────────────┘ │
 *         │   its last event                                           │
 *         └────────────────── the lock was stolen ─────────────────────┘
 *
 * A tab that is alone has a connection of its own, and leads with it if it gets the lock. A joining tab that gets the lock leads, too.
 *
 * - `report`, leader to all: an event, or a change of its connection; numbered (`seq`) within its time as leader (`term`).
 * - `hello`, to the leader: this is my last event; are you there? Sent on joining, and when nothing was heard for a while.
 * - `welcome`, leader to one tab: the events after your last one, if I know it, and my last report.
 * - `echo`, to oneself: messages keep their order. A leader that ends its connection hears its own echo before it releases the lock,
 *   and the next one hears its own before it connects: by then it has heard everything the last leader said.
 *
 * Nothing is lost or doubled, because a tab accepts an event only if it directly follows the tab's last event in the same log or
 * connection: by report number if it is known, otherwise by id, as a server does. A tab whose last event the leader does not know
 * asks the server, over a connection of its own, until the leader knows it.
 *
 * Events without ids cannot be found by id. They are neither lost nor doubled while one tab leads. When another takes over, its
 * connection is a new one, as after any reconnect: events that the server repeats arrive twice, and events sent in between are lost.
 * In a stream with ids, an event without one counts as part of the event before it.
 *
 * With an inner transport that receives every event (`fetchTransport`), a group has one connection. Native EventSource receives only
 * the names it was told, so there each set of names is a group: a tab that adds a name moves to another group, and resumes by id.
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
  /** What the stream depends on besides its URL and cookies, such as the user's id. Tabs of different scopes share nothing. */
  scope: string
  /** Makes the connection of the tab that leads. */
  transport: Transport
  /**
   * A tab that joins late gets what the server sends at the start of a stream, such as a snapshot: it asks for that over a short
   * connection of its own. False starts it at the newest event. The stream must have ids. @default false
   */
  fromStart?: boolean | undefined
}

/** Tabs with another version of the protocol form groups of their own: increment it whenever a message changes. */
const PROTOCOL = 'sharedTransport 3'

/** How much a tab keeps for tabs that are behind: events, and characters. */
const MAX_EVENTS = 1_000
const MAX_SIZE = 2 ** 20

/** Milliseconds, plus up to half as many at random, for a leader to answer; and how many answers it may miss before its lock is stolen. */
const PATIENCE = 2_000
const MAX_UNANSWERED = 2

/** Milliseconds for a leader to receive events that only another tab has, before that tab asks the server. */
const CATCH_UP = 1_000

/** Milliseconds that a handover may take before pages are told that the connection is gone. */
const HANDOVER = 1_000

/** A place in the stream: after the event that was report `seq` of `term`, where the last event id was `id`. */
interface Position {
  readonly term: string
  readonly seq: number
  readonly id: string
}

/** An event, or null for an id that came without one. */
interface Entry extends Position {
  readonly event: RawEvent | null
}

type Report =
  | { kind: 'open' }
  | { kind: 'retrying' }
  | { kind: 'activity' }
  | { kind: 'event'; id: string; event: RawEvent | null }
  | { kind: 'retry'; delay: number }
  | { kind: 'end'; reason: 'no-content' | 'ended' }
  | { kind: 'fail'; failure: ConnectionFailure }

type Shown = 'connecting' | 'open' | 'retrying'

interface Hello {
  kind: 'hello'
  from: string
  /** The newest term that the tab has heard of. */
  term: string
  at: Position
}

interface Welcome {
  kind: 'welcome'
  to: string
  term: string
  seq: number
  /** The position in the hello: an alone tab has moved on since. */
  asked: Position
  /** The entries after it; null if the leader does not know it. */
  entries: readonly Entry[] | null
  /** Where the leader is. */
  end: Position
  /** The leader still waits for its first event. */
  isAtStart: boolean
  shown: Shown
  retry: number | null
}

type Message =
  { kind: 'echo'; from: string } | Hello | Welcome | { kind: 'report'; term: string; seq: number; report: Report }

/** A transport that shares another transport's connection between tabs. Without Web Locks or BroadcastChannel, each tab has its own. */
export function sharedTransport({ scope, transport, fromStart = false }: SharedTransportOptions): Transport {
  const { receivesAllEvents = false, once = false } = transport
  const shared: Transport = (request, sink) => {
    const { locks } = navigator as Partial<Navigator>
    if (!locks || typeof BroadcastChannel === 'undefined') return transport(request, sink)
    return share(scope, transport, fromStart, request, sink, locks)
  }
  return Object.assign(shared, { receivesAllEvents, once })
}

function share(
  scope: string,
  transport: Transport,
  fromStart: boolean,
  request: TransportRequest,
  sink: TransportSink,
  locks: LockManager,
): TransportConnection {
  const me = crypto.randomUUID()
  const names = new Set<string>()
  let role: 'away' | 'follower' | 'alone' | 'leader' = 'away'
  const is = (one: typeof role): boolean => role === one

  // --- What this tab has received, and what it told its page

  /** Of this tab's own last report. */
  let seq = 0
  let log = new Log({ term: me, seq, id: request.lastEventId })
  let shown: Shown = 'connecting'
  let retry: number | null = null
  let { wasOpen } = request

  function apply(report: Report, at: { term: string; seq: number }): void {
    if (report.kind === 'event') deliver({ term: at.term, seq: at.seq, id: report.id, event: report.event })
    else if (report.kind === 'open' || report.kind === 'retrying') show(report.kind)
    else if (report.kind === 'activity') sink.activity()
    else if (report.kind === 'retry') sink.retry((retry = report.delay))
    else {
      close()
      if (report.kind === 'end') sink.end(report.reason)
      else sink.fail(report.failure)
    }
  }

  function deliver(entry: Entry): void {
    log.add(entry)
    if (entry.event) sink.message(entry.event)
    else sink.id(entry.id)
  }

  function show(next: 'open' | 'retrying'): void {
    // The page need not know that one tab's connection replaced another's.
    const isStillOpen = next === 'open' && shown === 'open'
    shown = next
    wasOpen ||= next === 'open'
    if (isStillOpen) sink.activity()
    else sink[next]()
  }

  /** Keeps only the id: to the others, this tab is new. */
  function forget(): void {
    log = new Log({ term: me, seq: ++seq, id: log.end.id })
  }

  // --- This tab's own connection, while it leads or is alone

  let disconnect: (() => void) | null = null

  function connect(): void {
    let connection: TransportConnection | null = null
    /** Reported at the end of the turn, unless an event replaces it: an id must not be known before its event. */
    let pending: Report | null = null
    let failing: ReturnType<typeof setTimeout> | undefined

    const say = (what: Report): void => {
      const before = pending
      pending = null
      if (before?.kind === 'event' && what.kind !== 'event') say(before)
      if (disconnect === end) report(what)
    }
    const saySoon = (what: Report): void => {
      pending = what
      queueMicrotask(() => {
        if (pending === what) say(what)
      })
    }
    const fail = (failure: ConnectionFailure): void => {
      // In a later task: a page that is being left loses its connection first, which is not a failure of the stream.
      failing ??= setTimeout(() => say({ kind: 'fail', failure }))
    }
    const late = setTimeout(() => {
      if (shown === 'open') say({ kind: 'retrying' })
    }, HANDOVER)
    const end = (): void => {
      disconnect = null
      clearTimeout(late)
      clearTimeout(failing)
      connection?.close()
    }

    disconnect = end
    try {
      connection = transport(
        { ...request, lastEventId: log.end.id, wasOpen },
        {
          open: () => {
            clearTimeout(late)
            say({ kind: 'open' })
          },
          message: (event) => say({ kind: 'event', id: event.id, event }),
          retrying: () => say({ kind: 'retrying' }),
          activity: () => saySoon(pending ?? { kind: 'activity' }),
          retry: (delay) => say({ kind: 'retry', delay }),
          id: (id) => saySoon({ kind: 'event', id, event: null }),
          end: (reason) => say({ kind: 'end', reason }),
          fail,
        },
      )
      if (disconnect === end) for (const name of names) connection.listen(name)
      else connection.close()
    } catch (cause) {
      fail({ kind: 'unsupported', message: 'The transport could not start.', cause })
    }
  }

  /** The others first: this tab's page may end the connection in response. */
  function report(what: Report): void {
    const at = { term: is('leader') ? term : me, seq: ++seq }
    if (is('leader')) post({ kind: 'report', ...at, report: portable(what) })
    apply(what, at)
    if (is('alone') && what.kind === 'event') hello()
  }

  // --- Membership in the group of this tab's names

  let group = ''
  let channel: BroadcastChannel | null = null
  let ticker: ReturnType<typeof setInterval> | undefined
  /** The term of the newest leader heard of. A leader with an older term had its lock stolen while it hung, and does not know yet. */
  let term = ''
  /** The last report heard in that term; null while joining. */
  let cursor: number | null = null
  let isAsking = false
  let catchUp: ReturnType<typeof setTimeout> | undefined

  function enter(): void {
    if (ending.signal.aborted || isSuspended) return
    const wanted = [PROTOCOL, scope, request.url, request.withCredentials]
    const next = JSON.stringify([...wanted, transport.receivesAllEvents ? 'all' : [...names].sort()])
    if (!is('away') && next === group) return
    leave()
    // This tab's log lacks the events of a new name, so it is useless to the other group.
    if (next !== group) {
      if (group !== '') forget()
      term = ''
    }
    group = next
    role = 'follower'
    channel = new BroadcastChannel(group)
    channel.onmessage = ({ data }: MessageEvent<Message>) => receive(data)
    ticker = setInterval(() => void tick().catch(() => undefined), PATIENCE * (1 + Math.random() / 2))
    sink.activity()
    hello()
    queue()
  }

  function leave(): void {
    role = 'away'
    clearInterval(ticker)
    follow(null)
    // Before the lock is released: there are never two connections.
    disconnect?.()
    withdraw()
    channel?.close()
    channel = null
    isAsking = false
  }

  function post(message: Message): void {
    channel?.postMessage(message)
  }

  function receive(message: Message): void {
    if (message.kind === 'echo') {
      if (isClaiming && message.from === me) lead()
    } else if (message.kind === 'hello') {
      if (is('leader')) welcome(message)
    } else if (message.term >= term) {
      if (message.term > term) {
        if (is('leader')) stepDown()
        term = message.term
        follow(null)
        isAsking = false
      }
      wasHeard = true
      if (message.kind === 'welcome') {
        if (message.to === me && !is('leader')) welcomed(message)
      } else if (cursor !== null && message.seq === cursor + 1) {
        cursor++
        apply(message.report, message)
      } else if (cursor === null || message.seq > cursor) {
        cursor = null
        hello()
      }
    }
  }

  // --- Following

  /** Follows from this report on; null while joining. */
  function follow(from: number | null): void {
    cursor = from
    clearTimeout(catchUp)
    catchUp = undefined
  }

  /** Asks the leader, one question at a time. */
  function hello(): void {
    if (!isAsking) post({ kind: 'hello', from: me, term, at: log.end })
    isAsking = true
  }

  function welcomed(leader: Welcome): void {
    const { asked, entries, end } = leader
    isAsking = false
    if (cursor !== null && leader.seq < cursor) return
    let missed = entries && after(log.end, asked, entries)
    if (!entries && log.end.term === asked.term && log.end.seq === asked.seq) {
      // If the leader still waits for the first event, that is the newest, too.
      if (asked.id === '' && (!fromStart || leader.isAtStart)) {
        // Nobody knows where this tab was: it starts at the newest event.
        log = new Log(end)
        if (end.id !== '') sink.id(end.id)
        missed = []
      } else if (is('follower')) catchUp ??= setTimeout(goAlone, asked.id === '' ? 0 : CATCH_UP)
    }
    if (!missed || is('away')) return

    if (cursor === null) sink.activity()
    disconnect?.()
    role = 'follower'
    follow(leader.seq)
    if (leader.retry !== null && leader.retry !== retry) apply({ kind: 'retry', delay: leader.retry }, end)
    if (missed.length > 0 && shown !== 'open') show('open')
    for (const entry of missed) if (!is('away')) deliver(entry)
    if (is('away') || leader.shown === shown || (leader.shown === 'connecting' && shown === 'retrying')) return
    show(leader.shown === 'open' ? 'open' : 'retrying')
  }

  function goAlone(): void {
    follow(null)
    role = 'alone'
    connect()
  }

  // --- Leading

  /** Aborts the request for the lock, or releases it. */
  let withdraw = (): void => undefined
  let isClaiming = false
  let tookOver = log.end

  function queue(steal = false): void {
    withdraw()
    const turn = new AbortController()
    const { signal } = turn
    withdraw = () => {
      isClaiming = false
      turn.abort()
    }
    const held = (): Promise<void> =>
      new Promise((release) => {
        signal.addEventListener('abort', () => {
          // A page that was left or frozen would not hear its echo.
          if (isSuspended) release()
          else whenSaid(release)
        })
        if (signal.aborted) release()
        else claim()
      })
    locks.request(group, steal ? { steal } : { signal }, held).catch((cause: unknown) => {
      if (signal.aborted) return
      if (cause instanceof DOMException && cause.name === 'AbortError') stepDown()
      else if (is('follower')) goAlone()
    })
  }

  function claim(): void {
    isClaiming = true
    // A channel does not hear itself.
    const other = new BroadcastChannel(group)
    other.postMessage({ kind: 'echo', from: me } satisfies Message)
    other.close()
  }

  /** Calls back once the browser has delivered this tab's last message. Locks take another route, and could reach the next leader first. */
  function whenSaid(callback: () => void): void {
    const echo = new BroadcastChannel(group)
    const waiting = new AbortController()
    const done = (): void => {
      waiting.abort()
      clearTimeout(timer)
      echo.close()
      callback()
    }
    const timer = setTimeout(done, HANDOVER)
    echo.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === 'echo' && data.from === me) done()
    }
    onSuspend(done, waiting.signal)
    post({ kind: 'echo', from: me })
  }

  function lead(): void {
    isClaiming = false
    role = 'leader'
    follow(null)
    announce(term)
    if (!disconnect) connect()
  }

  /** A term is a time and a name. The time makes it later even than terms that no open tab remembers. Terms compare as strings. */
  function announce(last: string): void {
    tookOver = log.end
    term = `${Math.max(Date.now(), (Number.parseInt(last) || 0) + 1)} ${me}`
    // The pages need it too: the last connection's silence does not count against this one.
    report({ kind: 'activity' })
  }

  function welcome({ from, term: known, at }: Hello): void {
    // Either the clock was set back, or the lock was stolen from this tab: then its new holder takes an even later term.
    if (known > term) announce(known)
    // Without an id, a tab that followed another leader gets everything since this one took over.
    const isBehind = at.id === '' && at.term !== from && !fromStart
    const entries = log.after(at) ?? (isBehind ? log.after(tookOver) : null)
    const isAtStart = log.isEmpty && log.end.id === ''
    post({ kind: 'welcome', to: from, term, seq, asked: at, entries, end: log.end, isAtStart, shown, retry })
  }

  /** The lock was stolen, or a later leader reports. */
  function stepDown(): void {
    disconnect?.()
    role = 'follower'
    follow(null)
    // Without ids, this connection's events cannot be compared with those of the new leader's.
    if (log.end.id === '') forget()
    queue()
    isAsking = false
    hello()
  }

  // --- A leader that hangs keeps its lock. Timers of hidden tabs are late, so silence proves nothing, and the leader is asked.

  let wasHeard = false
  let unanswered = 0
  let suspect: string | undefined

  async function tick(): Promise<void> {
    isAsking = false
    if (isClaiming) claim()
    const { held = [] } = await locks.query()
    if (is('leader') || is('away') || isClaiming) return
    const holder = held.find(({ name }) => name === group)?.clientId
    // A tab that has just got the lock gets the full time to answer.
    if (wasHeard || holder !== suspect) unanswered = 0
    else unanswered++
    suspect = holder
    if (unanswered > MAX_UNANSWERED) {
      unanswered = 0
      queue(true)
    } else if (!wasHeard) hello()
    wasHeard = false
  }

  // --- The page. One that is left or frozen lets another tab lead; when it comes back, it catches up like any follower.

  const ending = new AbortController()
  const { signal } = ending
  let isSuspended = false

  function suspend(): void {
    isSuspended = true
    leave()
  }

  function resume(): void {
    isSuspended = false
    enter()
  }

  function close(): void {
    ending.abort()
    leave()
  }

  onSuspend(suspend, signal)
  addEventListener('pageshow', resume, { signal })
  if (typeof document !== 'undefined') document.addEventListener('resume', resume, { signal })
  // In a microtask: names added in one turn make one group, or one move.
  queueMicrotask(enter)
  return {
    listen: (name) => {
      names.add(name)
      queueMicrotask(enter)
    },
    close,
  }
}

function onSuspend(callback: () => void, signal: AbortSignal): void {
  addEventListener('pagehide', callback, { signal })
  // Like `resume` an event of the document, and it does not bubble. A worker has no document.
  if (typeof document !== 'undefined') document.addEventListener('freeze', callback, { signal })
}

/** The newest events of a tab, with no gap between them. */
class Log {
  end: Position
  /** Before the first entry. */
  private start: Position
  private readonly entries: Entry[] = []
  private size = 0

  constructor(start: Position) {
    this.start = this.end = start
  }

  add(entry: Entry): void {
    this.entries.push(entry)
    this.end = positionOf(entry)
    this.size += sizeOf(entry)
    while (this.entries.length > MAX_EVENTS || this.size > MAX_SIZE) {
      const dropped = this.entries.shift()
      if (!dropped) return
      this.start = positionOf(dropped)
      this.size -= sizeOf(dropped)
    }
  }

  get isEmpty(): boolean {
    return this.end === this.start
  }

  after(position: Position): readonly Entry[] | null {
    return after(position, this.start, this.entries)
  }
}

/** The entries after a position; null if it is not among them. An id stands for the last event that has it, as for a server. */
function after({ term, seq, id }: Position, start: Position, entries: readonly Entry[]): readonly Entry[] | null {
  const known = [start, ...entries]
  let found = known.findIndex((one) => one.term === term && one.seq === seq)
  if (found < 0 && id !== '') found = known.map((one) => one.id).lastIndexOf(id)
  return found < 0 ? null : entries.slice(found)
}

function positionOf({ term, seq, id }: Position): Position {
  return { term, seq, id }
}

function sizeOf({ event, id }: Entry): number {
  return id.length + (event ? event.event.length + event.data.length : 0)
}

/** What can be sent to other tabs: headers and causes cannot. */
function portable(report: Report): Report {
  if (report.kind !== 'fail') return report
  return { kind: 'fail', failure: { ...report.failure, headers: undefined, cause: undefined } }
}
