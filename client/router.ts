import { nextTick } from 'vue'
import { createRouter, createWebHistory, START_LOCATION, type Router } from 'vue-router'
import { pages } from '../shared/pages'
import { loadTransport, transportNamed } from './site/useTransport'

/** For pages on which the reader may choose a transport. */
const switchable = { transports: true }

export const router: Router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => (to.path === from.path ? undefined : (saved ?? { top: 0 })),
  routes: [
    {
      path: pages.timestamps,
      component: () => import('./demos/timestamps/TimestampsDemo.vue'),
      meta: switchable,
    },
    { path: pages.emitter, component: () => import('./demos/emitter/EmitterDemo.vue'), meta: switchable },
    { path: pages.byHand, component: () => import('./demos/byHand/ByHandDemo.vue') },
    { path: pages.channel, component: () => import('./demos/channel/ChannelDemo.vue'), meta: switchable },
    { path: pages.reconnect, component: () => import('./demos/reconnect/ReconnectDemo.vue'), meta: switchable },
    { path: pages.transports, component: () => import('./demos/transports/TransportsDemo.vue'), meta: switchable },
    { path: pages.wire, component: () => import('./demos/wire/WireDemo.vue') },
    { path: pages.comparison, component: () => import('./demos/comparison/ComparisonDemo.vue') },
    { path: pages.use, component: () => import('./demos/use/UseDemo.vue') },
    { path: pages.live, component: () => import('./demos/live/LiveDemo.vue') },
    { path: pages.inbox, component: () => import('./demos/inbox/InboxDemo.vue') },
    { path: pages.answer, component: () => import('./demos/answer/AnswerDemo.vue') },
    { path: pages.todos, component: () => import('./demos/todos/TodosDemo.vue') },
    { path: '/:unknown(.*)*', component: () => import('./site/NotFound.vue') },
  ],
})

// Vue Router saves the scroll position when a page is hidden, which is also when the browser puts it into its back/forward cache. The browser
// then mistakes that for a navigation and drops the page. The position was already saved when the page was left.
addEventListener('pagehide', () => {
  history.replaceState = () => undefined
})
addEventListener('pageshow', () => {
  Reflect.deleteProperty(history, 'replaceState')
})

router.beforeResolve(({ query }) => loadTransport(transportNamed(query['transport'])))

// Screen readers do not notice a page change within a document, so the heading gets the focus.
router.afterEach(async (to, from) => {
  if (from === START_LOCATION || to.path === from.path) return
  await nextTick()
  document.querySelector('h2')?.focus({ preventScroll: true })
})
