import { computed, type ComputedRef } from 'vue'
import { useRoute } from 'vue-router'
import { nativeTransport, type Transport } from '../composables/useEventSource'

/** The values of `?transport=`. */
export const TRANSPORTS = ['native', 'fetch', 'shared'] as const

export type TransportName = (typeof TRANSPORTS)[number]

/** Creates the transport of one stream. `scope` applies to `shared`. */
type Make = (scope: string) => Transport

/** Native is part of the composable; the others are loaded when chosen. */
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

/** The transport named by `?transport=`; native if unknown. */
export function transportNamed(query: unknown): TransportName {
  return TRANSPORTS.find((name) => name === query) ?? 'native'
}

/** Must have resolved before a page that uses the transport is set up. */
export async function loadTransport(name: TransportName): Promise<void> {
  if (name !== 'native') loaded[name] ??= await load[name]()
}

/** The transport named in the address. */
export function useTransportName(): ComputedRef<TransportName> {
  const route = useRoute()
  return computed(() => transportNamed(route.query['transport']))
}

/**
 * The transport for one stream, as named in the address. The page is remounted when that changes.
 *
 * @param scope For `shared`: streams with different scopes share nothing. @default 'demo'
 */
export function useTransport(scope: string = 'demo'): Transport {
  return loaded[useTransportName().value]?.(scope) ?? nativeTransport
}

/** Whether tabs can share a connection: browsers offer Web Locks on https and localhost only. */
export const canShare: boolean = 'locks' in navigator && typeof BroadcastChannel !== 'undefined'
