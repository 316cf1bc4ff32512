import type { Lane } from './lane'

/**
 * Writes every request for a path into the picture of its technique, from when it was sent to when its answer was complete, as the browser has
 * measured it: the code of a technique need not know of the picture. Returns what ends that.
 */
export function watchRequests(path: string, lane: Lane): () => void {
  const observer = new PerformanceObserver((list) => {
    for (const { name, startTime, responseEnd } of list.getEntries() as PerformanceResourceTiming[])
      if (new URL(name).pathname === path)
        lane.requests.push({ from: performance.timeOrigin + startTime, to: performance.timeOrigin + responseEnd })
    // The browser keeps a few hundred by itself, and would say that they are full.
    performance.clearResourceTimings()
  })
  observer.observe({ type: 'resource' })
  return () => observer.disconnect()
}
