import { useI18n } from './i18n'
import type { EventSourceReason, EventSourceStatus } from '../composables/useEventSource'

export interface StreamState {
  readonly status: EventSourceStatus
  readonly reason: EventSourceReason | null
  readonly attempt: number
}

/** Describes the state of a stream in the reader's language. */
export function useStatusLabel(): (state: StreamState) => string {
  const { t } = useI18n()
  return (state) => {
    const { status, attempt } = state
    const reason = state.reason === null ? '' : t(`reason.${state.reason}`)
    if (status === 'closed') return reason
    if (status === 'failed') return t(attempt > 0 ? 'status.gaveUp' : 'status.failed', { attempt, reason })
    return t(`status.${status}`, { attempt, reason })
  }
}
