import { computed, type ComputedRef } from 'vue'
import { useRoute } from 'vue-router'
import { fetchTransport } from '../composables/fetchTransport'
import { sharedTransport } from '../composables/sharedTransport'
import { nativeTransport, type Transport } from '../composables/useEventSource'

/** As `?transport=` names them. */
export const TRANSPORTS = ['native', 'fetch', 'shared'] as const

export type TransportName = (typeof TRANSPORTS)[number]

/** The transport that the page's address asks for; native for one that is unknown. */
export function useTransportName(): ComputedRef<TransportName> {
  const route = useRoute()
  return computed(() => TRANSPORTS.find((name) => name === route.query['transport']) ?? 'native')
}

/**
 * A transport for one stream, as the page's address asks for it now: the page is made anew when that changes.
 *
 * @param scope Of `shared`: streams of different scopes share nothing. @default 'demo'
 */
export function useTransport(scope: string = 'demo'): Transport {
  switch (useTransportName().value) {
    case 'native':
      return nativeTransport
    case 'fetch':
      return fetchTransport()
    case 'shared':
      return sharedTransport({ scope, transport: nativeTransport })
  }
}

/** Whether tabs can agree on who has the connection: browsers have locks on https and on localhost only. */
export const canShare: boolean = 'locks' in navigator && typeof BroadcastChannel !== 'undefined'
