import { comparisonPaths as paths, parseComparisonEvent, type ComparisonEvent } from '../../../shared/demos/comparison'
import { useEventSource } from '../../composables/useEventSource'

/** One response that does not end. After a cut the browser comes back, and says what it got last. `run` may be null, and change. */
export function serverSentEvents(run: () => string | null, receive: (event: ComparisonEvent) => void): void {
  const { on } = useEventSource(() => run() && `${paths.sse}?run=${run() ?? ''}`, {
    immediate: true,
    decode: { message: parseComparisonEvent },
    initial: null,
    reduce: () => null,
  })
  on('message', ({ data }) => receive(data))
}
