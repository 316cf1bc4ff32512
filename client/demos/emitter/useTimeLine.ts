import { shallowRef, watch, type ShallowRef } from 'vue'
import type { StreamState } from '../../site/useStatusLabel'
import type { useEventSource } from '../../composables/useEventSource'
import type { EmitterCallback } from '../../../shared/demos/emitter'

/** How many rows to keep, the newest ones. */
const ROWS = 200

/** How long news of a callback may take, in milliseconds. A larger difference means that the clocks disagree. */
const LATENCY = 1_000

/** Something that happened at one end, and when (ms since the epoch). */
export type Row = { key: number; time: number } & (
  ({ end: 'page' } & Happening) | { end: 'server'; kind: 'callback'; called: EmitterCallback }
)

type Happening = { kind: 'status'; state: StreamState } | { kind: 'event'; event: string; data: string }

type Stream = Pick<ReturnType<typeof useEventSource>, 'status' | 'reason' | 'attempt' | 'on'>

/** One timeline for both ends of a stream: status and events in the page, and callbacks on the server. */
export function useTimeLine(
  stream: Stream,
  names: readonly string[],
  onCallback: (heard: (called: EmitterCallback) => void) => void,
): { rows: Readonly<ShallowRef<readonly Row[]>>; clear: () => void } {
  const rows = shallowRef<readonly Row[]>([])
  let key = 0

  function add(happening: Happening): void {
    rows.value = [...rows.value, { key: key++, time: Date.now(), end: 'page', ...happening } as const].slice(-ROWS)
  }

  /** The server's events arrive late, so they carry the server's time, used where possible. */
  function hear(called: EmitterCallback): void {
    const now = Date.now()
    const time = called.time <= now && called.time > now - LATENCY ? called.time : now
    // Within one millisecond, the server acted before the page noticed. Only when the client leaves, the page knows first.
    const isEffect = called.detail === 'disconnected'
    const before = rows.value.findLastIndex(
      (row) => row.time < time || (row.time === time && (isEffect || row.end === 'server')),
    )
    const row = { key: key++, time, end: 'server', kind: 'callback', called } as const
    rows.value = rows.value.toSpliced(before + 1, 0, row).slice(-ROWS)
  }

  // Synchronously: in the next tick, events that came meanwhile would be listed before it.
  watch(
    () => ({ status: stream.status.value, reason: stream.reason.value, attempt: stream.attempt.value }),
    (state, before) => {
      // When a connection becomes stable, only the attempts change.
      if (state.status !== before.status || state.attempt > before.attempt) add({ kind: 'status', state })
    },
    { flush: 'sync' },
  )
  for (const name of names) stream.on(name, ({ event, data }) => add({ kind: 'event', event, data: String(data) }))
  onCallback((called) => hear(called))

  return {
    rows,
    clear: () => {
      rows.value = []
    },
  }
}
