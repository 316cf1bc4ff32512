import type { Lane } from './lane'

/**
 * Adds every request for a path to its technique's lane, from when it was sent to when its response was complete, as measured by the
 * browser: a technique's own code does not know about the lane. Returns a function that stops it.
 */
export function watchRequests(path: string, lane: Lane): () => void {
  const observer = new PerformanceObserver((list) => {
    for (const { name, startTime, responseEnd } of list.getEntries() as PerformanceResourceTiming[])
      if (new URL(name).pathname === path)
        lane.requests.push({ from: performance.timeOrigin + startTime, to: performance.timeOrigin + responseEnd })
    // The browser buffers a few hundred entries, and would otherwise report a full buffer.
    performance.clearResourceTimings()
  })
  observer.observe({ type: 'resource' })
  return () => observer.disconnect()
}
