import type { EventSourceStatus } from '../composables/useEventSource'

/** Whether a stream is connected or trying to connect, so that there is something to stop. */
export function isActive(status: EventSourceStatus): boolean {
  return status === 'connecting' || status === 'open' || status === 'reconnecting'
}
