import { shallowRef, watch, type ShallowRef } from 'vue'
import type { useEventSource } from '../../composables/useEventSource'

/** Rows that are kept: the newest. */
const ROWS = 200

/** One time that a connection opened. */
export interface Opening {
  /** 1 for the first. */
  n: number
  /** When (ms since the epoch). */
  time: number
  /** Milliseconds without a connection before it; null for one that the reader started. */
  away: number | null
  /** Attempts, this one included, since the connection was last stable. */
  attempt: number
  /** The id of the last event before it; empty for a stream that begins. */
  after: string
}

type Stream = Pick<ReturnType<typeof useEventSource>, 'status' | 'attempt' | 'lastEventId'>

/** Writes down each opening of a stream. */
export function useOpenings(stream: Stream): { openings: Readonly<ShallowRef<readonly Opening[]>>; clear: () => void } {
  const openings = shallowRef<readonly Opening[]>([])
  let n = 0
  let lost: number | null = null

  watch(
    stream.status,
    (status) => {
      const time = Date.now()
      if (status === 'reconnecting') lost ??= time
      else if (status === 'open') {
        const away = lost === null ? null : time - lost
        const opening = { n: ++n, time, away, attempt: stream.attempt.value, after: stream.lastEventId.value }
        openings.value = [...openings.value, opening].slice(-ROWS)
      }
      if (status !== 'reconnecting') lost = null
    },
    { flush: 'sync' },
  )

  return {
    openings,
    clear: () => {
      openings.value = []
      n = 0
    },
  }
}
