import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Changes in the last second, and frames that were drawn because of them. Call `count` on each change. */
export function useFrameMeter(): { frames: Readonly<Ref<number>>; changes: Readonly<Ref<number>>; count: () => void } {
  const frames = ref(0)
  const changes = ref(0)
  let drawn = 0
  let counted = 0
  let request = 0
  let since = performance.now()

  function count(): void {
    counted++
    request ||= requestAnimationFrame(() => {
      request = 0
      drawn++
    })
  }

  // The timer of a busy or hidden page is late.
  const timer = setInterval(() => {
    const now = performance.now()
    const seconds = (now - since) / 1_000
    frames.value = Math.round(drawn / seconds)
    changes.value = Math.round(counted / seconds)
    drawn = counted = 0
    since = now
  }, 1_000)
  onScopeDispose(() => {
    clearInterval(timer)
    cancelAnimationFrame(request)
  })
  return { frames: readonly(frames), changes: readonly(changes), count }
}
