import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'
import { TRANSPORTS, type TransportName } from '../../site/useTransport'
import type { EventSourceStatus } from '../../composables/useEventSource'
import { post, read, takeNumber, type Notice } from './locks'

/** Milliseconds between two queries for the other tabs, while this one is visible. */
const INTERVAL = 500

/** How many tabs get a number. Further tabs are not shown. */
const MOST_TABS = 99

const TAB = 'demo tab'
const STREAM = 'demo stream'
const STREAMING = ['connecting', 'open', 'reconnecting'] as const

export interface Tab {
  readonly number: number
  readonly isThis: boolean
  readonly transport: TransportName | null
  /** Null for a tab without a stream. */
  readonly status: (typeof STREAMING)[number] | null
  /** Whether it holds the connection that others share. */
  readonly leads: boolean
}

/**
 * The tabs of this browser that show this page, by number, and which of them leads. Tabs do not talk to each other: each holds a lock for
 * its number and one for its stream, the leading tab also the lock of its sharedTransport, and every tab can query all locks.
 *
 * @param url The absolute URL of the shared stream.
 */
export function useTabs(
  scope: string,
  url: string,
  transport: TransportName,
  status: Readonly<Ref<EventSourceStatus>>,
): { tabs: Readonly<ShallowRef<readonly Tab[]>>; number: Readonly<Ref<number>> } {
  const tabs = shallowRef<readonly Tab[]>([])
  const number = ref(0)
  let leave: (() => void) | null = null

  function enter(): void {
    const giveBack = takeNumber(TAB, MOST_TABS, (taken) => {
      number.value = taken
      void look()
    })
    let takeDown: (() => void) | null = null
    const stopWatching = watch(
      status,
      (now) => {
        const last = takeDown
        // The new lock first, so that other tabs always see one.
        takeDown = STREAMING.some((one) => one === now) ? post(STREAM, transport, now) : null
        last?.()
        void look()
      },
      { immediate: true, flush: 'sync' },
    )
    leave = () => {
      stopWatching()
      takeDown?.()
      giveBack()
      leave = null
    }
  }

  async function look(): Promise<void> {
    if (document.visibilityState !== 'visible') return
    const notices = await read().catch(() => [])
    const seen = tabsIn(notices, number.value, scope, url)
    // Unchanged, so nothing to redraw.
    if (JSON.stringify(seen) !== JSON.stringify(tabs.value)) tabs.value = seen
  }

  // A page in the back/forward cache does not count.
  const listening = new AbortController()
  const { signal } = listening
  addEventListener('pagehide', () => leave?.(), { signal })
  addEventListener('pageshow', () => leave ?? enter(), { signal })
  document.addEventListener('visibilitychange', () => void look(), { signal })
  const timer = setInterval(() => void look(), INTERVAL)
  enter()
  onScopeDispose(() => {
    listening.abort()
    clearInterval(timer)
    leave?.()
  })
  return { tabs, number }
}

function tabsIn(notices: readonly Notice[], mine: number, scope: string, url: string): Tab[] {
  const leader = notices.find(({ parts }) => isGroup(parts, scope, url))?.client
  return notices
    .flatMap(({ client, parts: [kind, number] }): Tab[] => {
      if (kind !== TAB || typeof number !== 'number') return []
      // The last one is the newest.
      const stream = notices.findLast((one) => one.client === client && one.parts[0] === STREAM)?.parts ?? []
      return [
        {
          number,
          isThis: number === mine,
          transport: TRANSPORTS.find((name) => name === stream[1]) ?? null,
          status: STREAMING.find((status) => status === stream[2]) ?? null,
          leads: client === leader,
        },
      ]
    })
    .sort((a, b) => a.number - b.number)
}

/** Whether a lock belongs to the sharedTransport: see its `group`. */
function isGroup([kind, scope, url]: readonly unknown[], wantedScope: string, wantedUrl: string): boolean {
  return typeof kind === 'string' && kind.startsWith('sharedTransport') && scope === wantedScope && url === wantedUrl
}
