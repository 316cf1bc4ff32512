/**
 * Driven by the browser tests of the composable: `useEventSource` on an empty page, with everything it reports recorded.
 * Bundled by setup.ts and loaded at /harness.
 */
import { effectScope, shallowRef, watch, type EffectScope, type ShallowRef } from 'vue'
import { fetchTransport, type FetchTransportOptions } from '../client/composables/fetchTransport'
import { sharedTransport } from '../client/composables/sharedTransport'
import {
  nativeTransport,
  useEventSource,
  type EventSourceOptions,
  type Transport,
  type UseEventSourceReturn,
} from '../client/composables/useEventSource'

/** Options that can be sent to the page. */
export interface HarnessOptions extends Omit<EventSourceOptions<Record<never, never>, string>, 'decode'> {
  /** The transport. @default 'native' */
  kind?: 'native' | 'fetch' | 'shared' | 'shared-fetch'
  /** For the shared transports. */
  scope?: string
  /** For the fetch transport. */
  fetch?: FetchTransportOptions
}

interface Harness {
  stream: UseEventSourceReturn<string, Record<string, string>, Record<string, string>>
  url: ShallowRef<string | null>
  scope: EffectScope
  /** Each status when it became visible, with its reason and the amount of visible content. */
  statuses: string[]
  /** Each event as its handler received it: `event:id:data`. */
  events: string[]
  /** How often the content ref changed. */
  commits: number
  /** Events that arrived while the status was not `open`. */
  lies: string[]
}

declare global {
  interface Window {
    harness: Harness
    listen: (url: string | null, names: string[], options: HarnessOptions) => void
    /** Calls back with each id as soon as the ref has it. */
    watchId: (callback: (id: string) => void) => void
  }
}

function transportOf({ kind = 'native', fetch = {}, scope = '' }: HarnessOptions): Transport {
  const transport = kind.endsWith('fetch') ? fetchTransport(fetch) : nativeTransport
  return kind.startsWith('shared') ? sharedTransport({ scope, transport }) : transport
}

window.listen = (address, names, options) => {
  const scope = effectScope()
  scope.run(() => {
    const url = shallowRef(address)
    const stream = useEventSource(url, { ...options, transport: transportOf(options) })
    const harness: Harness = { stream, url, scope, statuses: [], events: [], commits: 0, lies: [] }
    window.harness = harness
    for (const name of names)
      stream.on(name, ({ event, id, data }) => {
        harness.events.push([event, id, String(data)].join(':'))
        // The done event ends the stream before its handlers are called.
        if (stream.status.value !== 'open' && event !== 'close')
          harness.lies.push(`${event} while ${stream.status.value}`)
      })
    watch(
      [stream.status, stream.reason],
      ([status, reason]) => harness.statuses.push(reason === null ? status : `${status} ${reason}`),
      { flush: 'sync' },
    )
    watch(stream.content, () => harness.commits++, { flush: 'sync' })
    stream.start()
  })
}

window.watchId = (callback) => {
  watch(window.harness.stream.lastEventId, callback, { flush: 'sync' })
}
