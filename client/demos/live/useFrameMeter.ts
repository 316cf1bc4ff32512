import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Changes in the last second, and frames that were drawn because of them. Call `count` on each change. */
export function useFrameMeter(): { frames: Readonly<Ref<number>>; changes: Readonly<Ref<number>>; count: () => void } {
  const frames = ref(0)
  const changes = ref(0)
  let drawn = 0
  let counted = 0
  let request = 0

  function count(): void {
    counted++
    request ||= requestAnimationFrame(() => {
      request = 0
      drawn++
    })
  }

  const timer = setInterval(() => {
    frames.value = drawn
    changes.value = counted
    drawn = counted = 0
  }, 1_000)
  onScopeDispose(() => {
    clearInterval(timer)
    cancelAnimationFrame(request)
  })
  return { frames: readonly(frames), changes: readonly(changes), count }
}
