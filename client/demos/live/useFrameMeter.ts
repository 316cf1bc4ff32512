import { onMounted, onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Frames that the browser draws, and changes that are counted, in the last second. */
export function useFrameMeter(): { frames: Readonly<Ref<number>>; changes: Readonly<Ref<number>>; count: () => void } {
  const frames = ref(0)
  const changes = ref(0)
  let drawn = 0
  let counted = 0
  let since = performance.now()
  let request = 0

  function onFrame(now: number): void {
    drawn++
    const seconds = (now - since) / 1_000
    if (seconds >= 1) {
      frames.value = Math.round(drawn / seconds)
      changes.value = Math.round(counted / seconds)
      drawn = counted = 0
      since = now
    }
    request = requestAnimationFrame(onFrame)
  }

  onMounted(() => (request = requestAnimationFrame(onFrame)))
  onScopeDispose(() => cancelAnimationFrame(request))
  return { frames: readonly(frames), changes: readonly(changes), count: () => counted++ }
}
