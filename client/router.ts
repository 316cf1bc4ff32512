import { nextTick } from 'vue'
import { createRouter, createWebHistory, START_LOCATION, type Router } from 'vue-router'
import { pages } from '../shared/pages'
import ByHandDemo from './demos/byHand/ByHandDemo.vue'
import ChannelDemo from './demos/channel/ChannelDemo.vue'
import ComparisonDemo from './demos/comparison/ComparisonDemo.vue'
import EmitterDemo from './demos/emitter/EmitterDemo.vue'
import ReconnectDemo from './demos/reconnect/ReconnectDemo.vue'
import WireDemo from './demos/wire/WireDemo.vue'
import TimestampsDemo from './demos/timestamps/TimestampsDemo.vue'
import NotFound from './NotFound.vue'
import TransportsDemo from './demos/transports/TransportsDemo.vue'

/** The page has streams whose transport the reader may choose. */
const switchable = { transports: true }

export const router: Router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => (to.path === from.path ? undefined : (saved ?? { top: 0 })),
  routes: [
    { path: pages.timestamps, component: TimestampsDemo, meta: switchable },
    { path: pages.emitter, component: EmitterDemo, meta: switchable },
    { path: pages.byHand, component: ByHandDemo },
    { path: pages.channel, component: ChannelDemo, meta: switchable },
    { path: pages.reconnect, component: ReconnectDemo, meta: switchable },
    { path: pages.transports, component: TransportsDemo, meta: switchable },
    { path: pages.wire, component: WireDemo },
    { path: pages.comparison, component: ComparisonDemo },
    { path: '/:unknown(.*)*', component: NotFound },
  ],
})

// A new page without a new document: those who do not see it hear its heading.
router.afterEach(async (to, from) => {
  if (from === START_LOCATION || to.path === from.path) return
  await nextTick()
  document.querySelector('h2')?.focus({ preventScroll: true })
})
