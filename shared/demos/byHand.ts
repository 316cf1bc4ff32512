/** What both ends of the demo without framing agree on: `?id=` for all paths, `&content=` for push. */
export const byHandPaths = { subscribe: '/subscribe', push: '/push', over: '/over' } as const
