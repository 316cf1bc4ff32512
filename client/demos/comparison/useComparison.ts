import { computed, onScopeDispose, reactive, ref, watch, type Ref } from 'vue'
import {
  comparisonPaths as paths,
  TECHNIQUES,
  type ComparisonEvent,
  type ComparisonFigures,
  type Technique,
} from '../../../shared/demos/comparison'
import { useServerAction } from '../../site/useServerAction'
import { pageClock } from './clockOffset'
import { longPolling } from './longPolling'
import { each, Measurements } from './measurements'
import { pause } from './pause'
import { serverSentEvents } from './serverSentEvents'
import { shortPolling } from './shortPolling'
import { watchRequests } from './watchRequests'
import { webSocket } from './webSocket'

/** Milliseconds between two updates of the page, and between two requests for the server's figures. */
const LOOK = 500
const ASK = 1_000

/** Requests right after the start, for the clock, and the milliseconds between them. */
const FIRST = 5
const FIRST_ASK = 50

/** Milliseconds without a response after which the figures are stale, and that a request for them may take. */
const STALE = 3_000

/** How long a slider must rest before its value is sent, in milliseconds. */
const REST = 250

export interface Comparison {
  /** Milliseconds between events, bytes per event, milliseconds between short polls. */
  settings: { interval: number; bytes: number; polling: number }
  /** The enabled techniques. */
  on: Record<Technique, boolean>
  /** `gone`: the server no longer has the run; `unreachable`: it has not answered for some seconds, and is still asked. */
  state: Readonly<Ref<'idle' | 'starting' | 'running' | 'unreachable' | 'stopped' | 'gone'>>
  /** Why the server refused, otherwise empty. */
  error: Readonly<Ref<string>>
  measurements: Measurements
  start: () => Promise<void>
  stop: () => Promise<void>
  cut: () => Promise<void>
}

/** One run on the server, and the techniques that deliver its events to this page. */
export function useComparison(): Comparison {
  const change = useServerAction()
  const settings = reactive({ interval: 100, bytes: 64, polling: 1_000 })
  const on = reactive(each(() => true))
  const state = ref<'idle' | 'starting' | 'running' | 'stopped' | 'gone'>('idle')
  const isStale = ref(false)
  const shownState = computed(() => (state.value === 'running' && isStale.value ? 'unreachable' : state.value))
  const error = ref('')
  const measurements = new Measurements()
  let run = ''
  /** When the server last answered, by the page's clock. */
  let answeredAt = 0
  let disposed = false

  async function send(path: string, params: Record<string, string> = {}): Promise<boolean> {
    error.value = (await change(path, { run, ...params })).error
    return error.value === ''
  }

  const sendSettings = (): Promise<boolean> =>
    send(paths.run, {
      interval: String(settings.interval),
      bytes: String(settings.bytes),
      webhook: String(on.webhook),
    })

  async function start(): Promise<void> {
    if (state.value === 'starting' || state.value === 'running') return
    state.value = 'starting'
    run = newName()
    const accepted = await sendSettings()
    if (disposed) {
      await send(paths.stop)
      return
    }
    if (accepted) {
      measurements.begin()
      answeredAt = pageClock()
      isStale.value = false
      void follow(run)
    }
    state.value = accepted ? 'running' : 'stopped'
  }

  async function stop(): Promise<void> {
    if (state.value !== 'running') return
    state.value = 'stopped'
    await send(paths.stop)
  }

  async function cut(): Promise<void> {
    if (state.value !== 'running' || !(await send(paths.cut))) return
    for (const technique of TECHNIQUES)
      if (on[technique]) {
        measurements.tallies[technique].cuts++
        measurements.lanes[technique].cuts.push(pageClock())
      }
  }

  /** Fetches the server's figures for as long as the run lasts. */
  async function follow(name: string): Promise<void> {
    const current = (): boolean => run === name && state.value === 'running'
    let asked = 0
    do {
      const sent = pageClock()
      try {
        const signal = AbortSignal.timeout(STALE)
        const response = await fetch(`${paths.figures}?run=${name}&after=${measurements.delivered}`, { signal })
        const answered = pageClock()
        const body = (await response.json()) as ComparisonFigures
        answeredAt = answered
        if (current() && response.ok) measurements.take(body, sent, answered)
        if (current() && response.status === 404) state.value = 'gone'
      } catch {
        // The cut may have hit this connection too, or the server is unreachable: the next request is due anyway, and `look` notices the timeout.
      }
      await pause(++asked < FIRST ? FIRST_ASK : ASK)
    } while (current())
  }

  const isOn = (technique: Technique): boolean => state.value === 'running' && on[technique]

  /** Called by a technique for each event, until it is disabled. */
  const receiver =
    (technique: Technique, signal?: AbortSignal) =>
    ({ n, time }: ComparisonEvent): void => {
      if (!signal?.aborted) measurements.arrived(technique, n, time)
    }

  /** Calls `begin` when the technique is enabled, and aborts its signal when it is disabled. */
  function use(
    technique: Technique,
    begin?: (receive: (event: ComparisonEvent) => void, signal: AbortSignal) => void,
  ): void {
    watch(
      () => isOn(technique),
      (yes, _before, onCleanup) => {
        if (!yes) return
        const abort = new AbortController()
        onCleanup(() => abort.abort())
        measurements.switchedOn(technique)
        begin?.(receiver(technique, abort.signal), abort.signal)
      },
      // At once, so that Stop closes all connections before it stops the run on the server.
      { flush: 'sync' },
    )
  }

  use('shortPolling', (receive, signal) => {
    // A new interval takes effect without waiting for the old one.
    let current = new AbortController()
    const poll = (): void => {
      current.abort()
      current = new AbortController()
      void shortPolling(run, settings.polling, receive, current.signal, measurements.position('shortPolling'))
    }
    const unwatch = watch(() => settings.polling, poll)
    signal.addEventListener('abort', () => {
      unwatch()
      current.abort()
    })
    poll()
  })
  use('longPolling', (receive, signal) => {
    void longPolling(run, receive, signal, measurements.position('longPolling'))
  })
  use('webSocket', (receive, signal) => {
    webSocket(run, receive, (isOpen) => measurements.lanes.webSocket.connected(isOpen, pageClock()), signal)
  })
  use('sse')
  const status = serverSentEvents(() => (isOn('sse') ? run : null), receiver('sse'))
  watch(status, (now) => measurements.lanes.sse.connected(now === 'open', pageClock()), { flush: 'sync' })
  onScopeDispose(watchRequests(paths.shortPolling, measurements.lanes.shortPolling))
  onScopeDispose(watchRequests(paths.longPolling, measurements.lanes.longPolling))

  watch(
    () => [settings.interval, settings.bytes, on.webhook],
    (_now, _before, onCleanup) => {
      const timer = setTimeout(() => {
        if (state.value === 'running') void sendSettings()
      }, REST)
      onCleanup(() => clearTimeout(timer))
    },
  )

  watch(state, (now, _before, onCleanup) => {
    if (now !== 'running') return
    const timer = setInterval(() => {
      isStale.value = pageClock() - answeredAt > STALE
      measurements.look()
    }, LOOK)
    onCleanup(() => {
      clearInterval(timer)
      measurements.look()
    })
  })

  onScopeDispose(() => {
    disposed = true
    void stop()
  })

  return { settings, on, state: shownState, error, measurements, start, stop, cut }
}

/** 128 random bits. `crypto.randomUUID` exists on https and localhost only. */
function newName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
