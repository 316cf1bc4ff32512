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
 * A stream, and beside it the text of another response, unparsed: they are started, stopped and cleared together, and when the
 * stream comes back by itself, so does the text.
 *
 * @param url Of the response that is read as text: a stream of its own.
 * @returns the stream with the three that are for both, and the text.
 */
export function useStreamWithRaw<S extends Stream>(events: S, url: string): { stream: S; text: Readonly<Ref<string>> } {
  const raw = useRawText(url)
  watch(events.status, (status) => {
    if (status === 'open') raw.start()
  })
  const stream = {
    ...events,
    start: () => {
      // From its beginning, as the raw text.
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
