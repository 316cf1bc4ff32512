import { comparisonPaths, type ComparisonEvent } from '../../../shared/demos/comparison'
import { pause } from './pause'

/** Asks, and the server responds when there is an event. Then it asks again at once. */
export async function longPolling(
  run: string,
  receive: (event: ComparisonEvent) => void,
  signal: AbortSignal,
  after?: number,
): Promise<void> {
  let failures = 0
  while (!signal.aborted) {
    try {
      const position = after === undefined ? '' : `&after=${after}`
      const response = await fetch(`${comparisonPaths.longPolling}?run=${run}${position}`, { signal })
      if (!response.ok) throw new Error(`The server answered ${response.status}.`)
      for (const event of (await response.json()) as ComparisonEvent[]) {
        after = event.n
        receive(event)
      }
      failures = 0
    } catch {
      await pause(Math.min(500 * 2 ** failures++, 30_000), signal)
    }
  }
}
