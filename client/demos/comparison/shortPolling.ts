import { comparisonPaths, type ComparisonEvent } from '../../../shared/demos/comparison'
import { pause } from './pause'

/** Asks every `interval` milliseconds for the events after the last one received. */
export async function shortPolling(
  run: string,
  interval: number,
  receive: (event: ComparisonEvent) => void,
  signal: AbortSignal,
  after?: number,
): Promise<void> {
  let delay = interval
  while (!signal.aborted) {
    try {
      const position = after === undefined ? '' : `&after=${after}`
      const response = await fetch(`${comparisonPaths.shortPolling}?run=${run}${position}`, { signal })
      if (!response.ok) throw new Error(`The server answered ${response.status}.`)
      for (const event of (await response.json()) as ComparisonEvent[]) {
        after = event.n
        receive(event)
      }
      delay = interval
    } catch {
      delay = Math.max(interval, Math.min(2 * delay, 30_000))
    }
    await pause(delay, signal)
  }
}
