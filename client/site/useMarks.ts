import { watch, type Ref } from 'vue'
import type { EventSourceStatus } from '../composables/useEventSource'
import { useI18n } from './i18n'

/** A line that is put before what arrives first after it. */
type Mark = { kind: 'run' } | { kind: 'resumed'; after: string }

export interface Marks {
  /** Follows a stream: each connection that opens leaves a mark. */
  follow: (stream: { status: Readonly<Ref<EventSourceStatus>>; lastEventId: Readonly<Ref<string>> }) => void
  /** For `reduce`: the text, with the mark that is due, if any. */
  mark: (text: string) => string
}

/** Shows in the text of a stream where a new run begins, and where a connection resumed: what follows was caught up on. */
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
      // Before the first line there is nothing to be told apart from.
      if (mark === null || text === '') return text
      return `${text}${mark.kind === 'run' ? t('marks.run') : t('marks.resumed', { id: mark.after })}\n`
    },
  }
}

/** `…:21`: people compare the end of an ID. */
function shortened(id: string): string {
  const colon = id.lastIndexOf(':')
  const end = colon < 0 ? id.slice(-8) : id.slice(colon)
  return end === id ? id : `…${end}`
}
