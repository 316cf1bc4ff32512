import { useRoute, useRouter, type RouteLocationRaw } from 'vue-router'

/** Query parameters that apply to every page. */
const EVERYWHERE = ['theme', 'lang']

/** Links to a page, keeping the query parameters that apply there too: theme, language, and the transport where there is a choice. */
export function usePageLink(): (path: string) => RouteLocationRaw {
  const route = useRoute()
  const router = useRouter()
  return (path) => {
    const { meta } = router.resolve(path)
    const names = meta['transports'] ? [...EVERYWHERE, 'transport'] : EVERYWHERE
    return { path, query: Object.fromEntries(Object.entries(route.query).filter(([name]) => names.includes(name))) }
  }
}
