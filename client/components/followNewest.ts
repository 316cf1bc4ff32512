import { nextTick, ref, watch, type Ref, type WatchSource } from 'vue'

/** Pixels from the end within which a reader still counts as being at the end. */
const NEAR = 8

/**
 * Keeps the end of a scrolling element in view as it grows, unless the reader has scrolled up.
 *
 * @returns whether it follows, and what makes it follow again.
 */
export function useFollowNewest(
  element: Readonly<Ref<HTMLElement | null>>,
  grows: WatchSource,
): { following: Readonly<Ref<boolean>>; onScroll: () => void; follow: () => void } {
  const following = ref(true)

  function onScroll(): void {
    const { value } = element
    if (value) following.value = value.scrollHeight - value.scrollTop - value.clientHeight <= NEAR
  }

  function follow(): void {
    following.value = true
    const { value } = element
    if (value) value.scrollTop = value.scrollHeight
  }

  watch(
    grows,
    async () => {
      if (!following.value) return
      await nextTick()
      follow()
    },
    { flush: 'post' },
  )
  return { following, onScroll, follow }
}
