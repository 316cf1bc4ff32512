import { onBeforeUnmount, onMounted } from 'vue'
import { useRoute } from 'vue-router'

/** The page whose streams ran when its transport was switched; else empty. */
let running = ''

/** Starts again, with the new transport, what ran when the transport of the page was switched: the page is made anew for that. */
export function useRestart(isRunning: () => boolean, start: () => void): void {
  const route = useRoute()
  const { path } = route
  onMounted(() => {
    if (running === path) start()
    running = ''
  })
  onBeforeUnmount(() => {
    running = route.path === path && isRunning() ? path : ''
  })
}
