import { onScopeDispose, ref, watch, type Ref } from 'vue'
import { useServerAction } from './useServerAction'

/** Milliseconds between the response to one push and the next push. */
const INTERVAL = 400

/**
 * Pushes 1, 2, 3 … while `running`, so that a missing number is easy to see. A push that fails is retried, unless the server
 * refused it for good, for example because of a wrong token: a retry would only prompt the reader again.
 *
 * @returns why the last push failed, or an empty string.
 */
export function useNumberPusher(path: string, id: () => string, running: () => boolean): Readonly<Ref<string>> {
  const change = useServerAction()
  const error = ref('')
  let number = 1
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Bumped on every start and stop, so that a late response continues nothing. */
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
