/** What both ends of the demo without framing agree on: `?id=` in all of them, `&content=` in push. */
export const byHandPaths = { subscribe: '/subscribe', push: '/push', over: '/over' } as const
