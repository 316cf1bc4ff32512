/** The pages and their paths. No path of the API may be one of them. */
export const pages = {
  timestamps: '/',
  emitter: '/emitter',
  byHand: '/by-hand',
  channel: '/channel',
  reconnect: '/reconnect',
  transports: '/transports',
  wire: '/wire',
  comparison: '/comparison',
  use: '/use',
  live: '/live',
  inbox: '/inbox',
  answer: '/answer',
  todos: '/todos',
} as const

export type PageName = keyof typeof pages
