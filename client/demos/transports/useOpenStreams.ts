import { onScopeDispose, shallowRef, type ShallowRef } from 'vue'

/** Milliseconds between a response and the next request, and for a response to arrive. */
const INTERVAL = 1_500
const PATIENCE = 2_000

/**
 * - `busy`: no response: all of the browser's connections to this server may be taken
 * - `gone`: the server cannot be reached
 */
export type OpenStreams = number | 'busy' | 'gone' | null

/** How many streams all clients have open on the server. Polled while the page is visible; null until the first response. */
export function useOpenStreams(): Readonly<ShallowRef<OpenStreams>> {
  const streams = shallowRef<OpenStreams>(null)
  const ending = new AbortController()
  const { signal } = ending
  let timer: ReturnType<typeof setTimeout> | undefined

  async function ask(): Promise<void> {
    if (document.visibilityState === 'visible') streams.value = await answer(signal)
    if (!signal.aborted) timer = setTimeout(() => void ask(), INTERVAL)
  }

  void ask()
  onScopeDispose(() => {
    ending.abort()
    clearTimeout(timer)
  })
  return streams
}

async function answer(ending: AbortSignal): Promise<OpenStreams> {
  const asking = new AbortController()
  const giveUp = (): void => asking.abort()
  ending.addEventListener('abort', giveUp, { once: true })
  const patience = setTimeout(giveUp, PATIENCE)
  try {
    const response = await fetch('/healthz', { signal: asking.signal })
    const { streams } = (await response.json()) as { streams?: unknown }
    return typeof streams === 'number' ? streams : 'gone'
  } catch {
    return asking.signal.aborted ? 'busy' : 'gone'
  } finally {
    clearTimeout(patience)
    ending.removeEventListener('abort', giveUp)
  }
}
