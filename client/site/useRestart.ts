import { onBeforeUnmount, onMounted } from 'vue'
import { useRoute } from 'vue-router'

/** The path of the page whose streams were running when its transport was switched, or an empty string. */
let running = ''

/** Switching the transport remounts the page. Streams that were running start again with the new transport. */
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
