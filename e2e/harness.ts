/**
 * What the browser tests of the composable drive: `useEventSource` on an empty page, with everything it says written down.
 * Bundled by fixture.ts and loaded at /harness.
 */
import { effectScope, shallowRef, watch, type EffectScope, type ShallowRef } from 'vue'
import {
  useEventSource,
  type EventSourceOptions,
  type UseEventSourceReturn,
} from '../client/composables/useEventSource'

interface Harness {
  stream: UseEventSourceReturn<string, Record<string, string>, Record<string, string>>
  url: ShallowRef<string | null>
  scope: EffectScope
  /** Each status with its reason, as it became visible, and how much content was visible with it. */
  statuses: string[]
  /** Each event as its handler got it: `event:id:data`. */
  events: string[]
  /** Changes of the content ref. */
  commits: number
}

declare global {
  interface Window {
    harness: Harness
    listen: (
      url: string | null,
      names: string[],
      options: EventSourceOptions<Record<never, never>, string, string>,
    ) => void
  }
}

window.listen = (address, names, options) => {
  const scope = effectScope()
  scope.run(() => {
    const url = shallowRef(address)
    const stream = useEventSource(url, options)
    const harness: Harness = { stream: stream, url, scope, statuses: [], events: [], commits: 0 }
    window.harness = harness
    for (const name of names)
      stream.on(name, ({ event, id, data }) => harness.events.push([event, id, String(data)].join(':')))
    watch(
      [stream.status, stream.reason],
      ([status, reason]) => harness.statuses.push(reason === null ? status : `${status} ${reason}`),
      { flush: 'sync' },
    )
    watch(stream.content, () => harness.commits++, { flush: 'sync' })
    stream.start()
  })
}
