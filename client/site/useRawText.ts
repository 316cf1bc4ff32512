import { onScopeDispose, ref, type Ref } from 'vue'
import { useI18n } from './i18n'

/** How many characters to keep, the newest ones. */
const LIMIT = 100_000

/** The raw text of a response as it arrives: what curl would show. */
export function useRawText(url: string): { text: Ref<string>; start: () => void; stop: () => void; clear: () => void } {
  const { t } = useI18n()
  const text = ref('')
  let abort: AbortController | null = null

  function append(more: string): void {
    text.value = (text.value + more).slice(-LIMIT)
  }

  async function read(signal: AbortSignal): Promise<void> {
    const { body } = await fetch(url, { signal })
    const decoder = new TextDecoder()
    const reader = body?.getReader()
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read())
      append(decoder.decode(chunk.value, { stream: true }))
  }

  function start(): void {
    if (abort) return
    const mine = new AbortController()
    abort = mine
    read(mine.signal)
      .catch(() => {
        if (!mine.signal.aborted) append(`\n[${t('reason.network')}]\n`)
      })
      .finally(() => {
        if (abort === mine) abort = null
      })
  }

  function stop(): void {
    abort?.abort()
    abort = null
  }

  onScopeDispose(stop)
  return { text, start, stop, clear: () => (text.value = '') }
}
