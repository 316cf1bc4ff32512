import { shallowRef, watch, type ShallowRef } from 'vue'
import type { useEventSource } from '../../composables/useEventSource'

/** How many rows to keep, the newest ones. */
const ROWS = 200

/** A connection, as it opened. */
export interface LoggedConnection {
  /** 1 for the first. */
  n: number
  /** When (ms since the epoch). */
  time: number
  /** Milliseconds without a connection before it; null for a connection that the reader started. */
  away: number | null
  /** Attempts, this one included, since the connection was last stable. */
  attempt: number
  /** The id of the last event before it; empty for a new stream. */
  after: string
}

type Stream = Pick<ReturnType<typeof useEventSource>, 'status' | 'attempt' | 'lastEventId'>

/** Logs each connection of a stream. */
export function useConnectionLog(stream: Stream): {
  connections: Readonly<ShallowRef<readonly LoggedConnection[]>>
  clear: () => void
} {
  const connections = shallowRef<readonly LoggedConnection[]>([])
  let n = 0
  let lost: number | null = null

  watch(
    stream.status,
    (status) => {
      const time = Date.now()
      if (status === 'reconnecting') lost ??= time
      else if (status === 'open') {
        const away = lost === null ? null : time - lost
        const connection = { n: ++n, time, away, attempt: stream.attempt.value, after: stream.lastEventId.value }
        connections.value = [...connections.value, connection].slice(-ROWS)
      }
      if (status !== 'reconnecting') lost = null
    },
    { flush: 'sync' },
  )

  return {
    connections,
    clear: () => {
      connections.value = []
      n = 0
    },
  }
}
