import { comparisonPaths as paths, parseComparisonEvent, type ComparisonEvent } from '../../../shared/demos/comparison'
import type { Ref } from 'vue'
import { useEventSource, type EventSourceStatus } from '../../composables/useEventSource'

/** One long-lived response. After a cut the browser reconnects and sends the last event ID. `run` may be null, and may change. */
export function serverSentEvents(
  run: () => string | null,
  receive: (event: ComparisonEvent) => void,
): Readonly<Ref<EventSourceStatus>> {
  const { on, status } = useEventSource(() => run() && `${paths.sse}?run=${run() ?? ''}`, {
    immediate: true,
    decode: { message: parseComparisonEvent },
    initial: null,
    reduce: () => null,
  })
  on('message', ({ data }) => receive(data))
  return status
}
