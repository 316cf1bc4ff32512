import { createRouter, createWebHistory, type Router } from 'vue-router'
import { pages } from '../shared/pages'
import ByHandDemo from './demos/byHand/ByHandDemo.vue'
import ChannelDemo from './demos/channel/ChannelDemo.vue'
import EmitterDemo from './demos/emitter/EmitterDemo.vue'
import ReconnectDemo from './demos/reconnect/ReconnectDemo.vue'
import WireDemo from './demos/wire/WireDemo.vue'
import TimestampsDemo from './demos/timestamps/TimestampsDemo.vue'

export const router: Router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: pages.timestamps, component: TimestampsDemo },
    { path: pages.emitter, component: EmitterDemo },
    { path: pages.byHand, component: ByHandDemo },
    { path: pages.channel, component: ChannelDemo },
    { path: pages.reconnect, component: ReconnectDemo },
    { path: pages.wire, component: WireDemo },
  ],
})
