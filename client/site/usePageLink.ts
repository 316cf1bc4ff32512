import { useRoute, useRouter, type RouteLocationRaw } from 'vue-router'

/** What a reader chose for every page. */
const EVERYWHERE = ['theme', 'lang']

/** Links to pages, with what the address already says that holds there too: theme, language, and the transport where there is a choice. */
export function usePageLink(): (path: string) => RouteLocationRaw {
  const route = useRoute()
  const router = useRouter()
  return (path) => {
    const { meta } = router.resolve(path)
    const names = meta['transports'] ? [...EVERYWHERE, 'transport'] : EVERYWHERE
    return { path, query: Object.fromEntries(Object.entries(route.query).filter(([name]) => names.includes(name))) }
  }
}
