import { watch, type Ref } from 'vue'
import type { EventSourceStatus } from '../composables/useEventSource'
import { useRawText } from './useRawText'
import { isActive } from './isActive'

interface Stream {
  status: Readonly<Ref<EventSourceStatus>>
  start: () => void
  stop: () => void
  clear: () => void
}

/**
 * A stream and, beside it, the raw text of another response. Both start, stop and clear together, and the text reconnects when the
 * stream does.
 *
 * @param url The URL to read as text. It is requested separately.
 * @returns the stream, with `start`, `stop` and `clear` for both, and the text.
 */
export function useStreamWithRaw<S extends Stream>(events: S, url: string): { stream: S; text: Readonly<Ref<string>> } {
  const raw = useRawText(url)
  watch(events.status, (status) => {
    if (status === 'open') raw.start()
  })
  const stream = {
    ...events,
    start: () => {
      // A new run, like the raw text.
      if (!isActive(events.status.value)) events.clear()
      events.start()
      raw.start()
    },
    stop: () => {
      events.stop()
      raw.stop()
    },
    clear: () => {
      events.clear()
      raw.clear()
    },
  }
  return { stream, text: raw.text }
}
