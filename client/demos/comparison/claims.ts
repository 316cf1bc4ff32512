import type { Way } from '../../../shared/demos/comparison'
import type { WayRow } from './measurements'
import type { Numbers } from './numbers'

/** What is said of a way, for it or against it, and the message that shows it by its numbers. */
interface Claim {
  /** The message under `comparison.claims.<way>`. */
  claim: string
  good: boolean
  /** The message under `comparison.shown`. */
  shown: 'delay' | 'empty' | 'overhead' | 'missed' | 'connections' | 'requests' | 'up' | 'repeated'
}

export const CLAIMS: Record<Way, readonly Claim[]> = {
  shortPolling: [
    { claim: 'simple', good: true, shown: 'missed' },
    { claim: 'late', good: false, shown: 'delay' },
    { claim: 'inVain', good: false, shown: 'empty' },
    { claim: 'headers', good: false, shown: 'overhead' },
  ],
  longPolling: [
    { claim: 'soon', good: true, shown: 'delay' },
    { claim: 'resumes', good: true, shown: 'missed' },
    { claim: 'requests', good: false, shown: 'requests' },
    { claim: 'headers', good: false, shown: 'overhead' },
  ],
  sse: [
    { claim: 'soon', good: true, shown: 'delay' },
    { claim: 'headersOnce', good: true, shown: 'overhead' },
    { claim: 'resumes', good: true, shown: 'missed' },
    { claim: 'oneWay', good: false, shown: 'up' },
    { claim: 'six', good: false, shown: 'connections' },
  ],
  webSocket: [
    { claim: 'soon', good: true, shown: 'delay' },
    { claim: 'light', good: true, shown: 'overhead' },
    { claim: 'bothWays', good: true, shown: 'up' },
    { claim: 'reconnect', good: false, shown: 'missed' },
    { claim: 'protocol', good: false, shown: 'connections' },
  ],
  webhook: [
    { claim: 'soon', good: true, shown: 'delay' },
    { claim: 'noneInVain', good: true, shown: 'empty' },
    { claim: 'requests', good: false, shown: 'overhead' },
    { claim: 'address', good: false, shown: 'requests' },
    { claim: 'retries', good: false, shown: 'repeated' },
  ],
}

/** Whether there are numbers to show. */
export function isKnown(shown: Claim['shown'], row: WayRow): boolean {
  if (shown === 'delay') return row.median !== null
  if (shown === 'empty') return row.requests > 0
  return row.events > 0
}

/** The numbers that the messages under `comparison.shown` can name. */
export function shownNumbers(row: WayRow, repeated: number, numbers: Numbers): Record<string, string> {
  return {
    requests: numbers.count(row.requests),
    received: numbers.count(row.received),
    empty: numbers.count(row.empty),
    share: numbers.percent(row.empty, row.requests),
    overhead: numbers.bytes(row.overhead),
    median: numbers.milliseconds(row.median),
    p95: numbers.milliseconds(row.p95),
    missed: numbers.count(row.missed),
    cuts: numbers.count(row.cuts),
    up: numbers.bytes(row.up),
    repeated: numbers.count(repeated),
  }
}
