/**
 * What the browser tests of the composable drive: `useEventSource` on an empty page, with everything it says written down.
 * Bundled by fixture.ts and loaded at /harness.
 */
import { effectScope, shallowRef, watch, type EffectScope, type ShallowRef } from 'vue'
import { fetchTransport, type FetchTransportOptions } from '../client/composables/fetchTransport'
import {
  nativeTransport,
  useEventSource,
  type EventSourceOptions,
  type Transport,
  type UseEventSourceReturn,
} from '../client/composables/useEventSource'

/** Options that can be sent to the page. */
export interface HarnessOptions extends EventSourceOptions<Record<never, never>, string, 'close'> {
  /** The transport. @default 'native' */
  kind?: 'native' | 'fetch'
  /** Of the fetch transport. */
  fetch?: Pick<FetchTransportOptions, 'method' | 'body' | 'eof' | 'headers'>
}

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
    listen: (url: string | null, names: string[], options: HarnessOptions) => void
  }
}

function transportOf({ kind = 'native', fetch = {} }: HarnessOptions): Transport {
  return kind === 'fetch' ? fetchTransport(fetch) : nativeTransport
}

window.listen = (address, names, options) => {
  const scope = effectScope()
  scope.run(() => {
    const url = shallowRef(address)
    const stream = useEventSource(url, { ...options, transport: transportOf(options) })
    const harness: Harness = { stream, url, scope, statuses: [], events: [], commits: 0 }
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
