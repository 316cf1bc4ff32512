import { onScopeDispose, ref, watch, type Ref } from 'vue'
import { useServerAction } from './useServerAction'

/** Milliseconds from the answer to one push to the next push. */
const INTERVAL = 400

/**
 * Pushes 1, 2, 3 … while it should: on them one sees whether any is missing. A number that could not be pushed is tried again,
 * unless the server refuses what does not pass by itself, as a wrong token: asked again, the person would be asked again.
 *
 * @returns why the last one could not be pushed, else an empty text.
 */
export function useNumberPusher(path: string, id: () => string, running: () => boolean): Readonly<Ref<string>> {
  const change = useServerAction()
  const error = ref('')
  let number = 1
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Counts what was started and stopped: a push that is answered later goes on with nothing. */
  let run = 0

  async function push(mine: number): Promise<void> {
    const outcome = await change(path, { id: id(), content: String(number) })
    if (outcome.error === '') number++
    if (mine !== run) return
    error.value = outcome.error
    const { status } = outcome
    if (status >= 400 && status < 500 && status !== 429) return
    timer = setTimeout(() => void push(mine), INTERVAL)
  }

  function stop(): void {
    run++
    clearTimeout(timer)
    error.value = ''
  }

  watch(
    running,
    (yes) => {
      stop()
      if (yes) void push(run)
    },
    { immediate: true },
  )
  onScopeDispose(stop)
  return error
}
