import type { EventSourceStatus } from '../composables/useEventSource'

/** Whether a stream has a connection or is about to have one: there is something to stop. */
export function isActive(status: EventSourceStatus): boolean {
  return status === 'connecting' || status === 'open' || status === 'reconnecting'
}
