import { nextTick, ref, watch, type Ref, type WatchSource } from 'vue'

/** How close to the end, in pixels, still counts as being at the end. */
const NEAR = 8

export interface FollowNewest {
  readonly following: Readonly<Ref<boolean>>
  /** Height of the content below the visible part, in pixels. */
  readonly below: Readonly<Ref<number>>
  onScroll: () => void
  /** Scrolls to the end and follows again. */
  follow: () => void
}

/** Keeps the end of a scrolling element in view as it grows, unless the reader has scrolled up. */
export function useFollowNewest(element: Readonly<Ref<HTMLElement | null>>, grows: WatchSource): FollowNewest {
  const following = ref(true)
  const below = ref(0)

  function measure(): void {
    const { value } = element
    if (value) below.value = Math.max(0, value.scrollHeight - value.scrollTop - value.clientHeight)
  }

  function onScroll(): void {
    measure()
    following.value = below.value <= NEAR
  }

  function follow(): void {
    following.value = true
    below.value = 0
    const { value } = element
    if (value) value.scrollTop = value.scrollHeight
  }

  watch(
    grows,
    async () => {
      await nextTick()
      if (following.value) follow()
      else measure()
    },
    { flush: 'post' },
  )
  return { following, below, onScroll, follow }
}
