import { onScopeDispose, ref, type Ref } from 'vue'

/** The text of a response as it comes, unparsed: what curl shows. */
export function useRawText(url: string): { text: Ref<string>; start: () => void; stop: () => void; clear: () => void } {
  const text = ref('')
  let abort: AbortController | null = null

  async function read(signal: AbortSignal): Promise<void> {
    const { body } = await fetch(url, { signal })
    const decoder = new TextDecoder()
    const reader = body?.getReader()
    for (let chunk = await reader?.read(); chunk && !chunk.done; chunk = await reader?.read())
      text.value += decoder.decode(chunk.value, { stream: true })
  }

  function start(): void {
    if (abort) return
    const mine = new AbortController()
    abort = mine
    read(mine.signal)
      .catch((error: unknown) => {
        if (!mine.signal.aborted) text.value += `${String(error)}\n`
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
