import { watch, type Ref } from 'vue'
import type { EventSourceStatus } from '../composables/useEventSource'
import { useI18n } from './i18n'

/** A line inserted before the next event. */
type Mark = { kind: 'run' } | { kind: 'resumed'; after: string }

export interface Marks {
  /** Watches a stream: every connection that opens leaves a mark. */
  follow: (stream: { status: Readonly<Ref<EventSourceStatus>>; lastEventId: Readonly<Ref<string>> }) => void
  /** For use in `reduce`: the text, plus the pending mark if there is one. */
  mark: (text: string) => string
}

/** Marks in the text of a stream where a new run starts and where a connection resumed. */
export function useMarks(): Marks {
  const { t } = useI18n()
  let due: Mark | null = null

  return {
    follow: ({ status, lastEventId }) =>
      watch(
        status,
        (now) => {
          if (now !== 'open') return
          due = lastEventId.value ? { kind: 'resumed', after: shortened(lastEventId.value) } : { kind: 'run' }
        },
        { flush: 'sync' },
      ),
    mark: (text) => {
      const mark = due
      due = null
      // The first line needs no separator.
      if (mark === null || text === '') return text
      return `${text}${mark.kind === 'run' ? t('marks.run') : t('marks.resumed', { id: mark.after })}\n`
    },
  }
}

/** Only the end of an ID matters to a reader: `…:21`. */
function shortened(id: string): string {
  const colon = id.lastIndexOf(':')
  const end = colon < 0 ? id.slice(-8) : id.slice(colon)
  return end === id ? id : `…${end}`
}
