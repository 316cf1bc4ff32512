import { computed, type ComputedRef } from 'vue'
import { useRoute } from 'vue-router'
import { nativeTransport, type Transport } from '../composables/useEventSource'

/** As `?transport=` names them. */
export const TRANSPORTS = ['native', 'fetch', 'shared'] as const

export type TransportName = (typeof TRANSPORTS)[number]

/** Makes a transport for one stream. `scope` is that of `shared`. */
type Make = (scope: string) => Transport

/** Native is part of the composable. The others are loaded when they are chosen. */
const loaded: Record<string, Make> = { native: () => nativeTransport }
const load: Record<Exclude<TransportName, 'native'>, () => Promise<Make>> = {
  fetch: async () => {
    const { fetchTransport } = await import('../composables/fetchTransport')
    return () => fetchTransport()
  },
  shared: async () => {
    const { sharedTransport } = await import('../composables/sharedTransport')
    return (scope) => sharedTransport({ scope, transport: nativeTransport })
  },
}

/** The transport that `?transport=` asks for; native for one that is unknown. */
export function transportNamed(query: unknown): TransportName {
  return TRANSPORTS.find((name) => name === query) ?? 'native'
}

/** Before a page is shown that uses it. */
export async function loadTransport(name: TransportName): Promise<void> {
  if (name !== 'native') loaded[name] ??= await load[name]()
}

/** The transport that the page's address asks for. */
export function useTransportName(): ComputedRef<TransportName> {
  const route = useRoute()
  return computed(() => transportNamed(route.query['transport']))
}

/**
 * A transport for one stream, as the page's address asks for it now: the page is made anew when that changes.
 *
 * @param scope Of `shared`: streams of different scopes share nothing. @default 'demo'
 */
export function useTransport(scope: string = 'demo'): Transport {
  return loaded[useTransportName().value]?.(scope) ?? nativeTransport
}

/** Whether tabs can agree on who has the connection: browsers have locks on https and on localhost only. */
export const canShare: boolean = 'locks' in navigator && typeof BroadcastChannel !== 'undefined'
