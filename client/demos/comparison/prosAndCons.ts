import type { Technique } from '../../../shared/demos/comparison'
import type { TextKey } from '../../site/i18n'
import type { TechniqueRow } from './measurements'
import type { Numbers } from './useNumbers'

/** A common claim about a technique, and the figures that show it. */
interface Claim {
  text: TextKey
  good: boolean
  /** The message under `comparison.shown`. */
  shown: 'delay' | 'empty' | 'overhead' | 'missed' | 'connections' | 'requests' | 'up' | 'repeated'
}

export const CLAIMS: Record<Technique, readonly Claim[]> = {
  shortPolling: [
    { text: 'comparison.claims.shortPolling.simple', good: true, shown: 'missed' },
    { text: 'comparison.claims.shortPolling.late', good: false, shown: 'delay' },
    { text: 'comparison.claims.shortPolling.empty', good: false, shown: 'empty' },
    { text: 'comparison.claims.shortPolling.headers', good: false, shown: 'overhead' },
  ],
  longPolling: [
    { text: 'comparison.claims.longPolling.soon', good: true, shown: 'delay' },
    { text: 'comparison.claims.longPolling.resumes', good: true, shown: 'missed' },
    { text: 'comparison.claims.longPolling.requests', good: false, shown: 'requests' },
    { text: 'comparison.claims.longPolling.headers', good: false, shown: 'overhead' },
  ],
  sse: [
    { text: 'comparison.claims.sse.soon', good: true, shown: 'delay' },
    { text: 'comparison.claims.sse.headersOnce', good: true, shown: 'overhead' },
    { text: 'comparison.claims.sse.resumes', good: true, shown: 'missed' },
    { text: 'comparison.claims.sse.oneWay', good: false, shown: 'up' },
    { text: 'comparison.claims.sse.six', good: false, shown: 'connections' },
  ],
  webSocket: [
    { text: 'comparison.claims.webSocket.soon', good: true, shown: 'delay' },
    { text: 'comparison.claims.webSocket.light', good: true, shown: 'overhead' },
    { text: 'comparison.claims.webSocket.bothWays', good: true, shown: 'up' },
    { text: 'comparison.claims.webSocket.reconnect', good: false, shown: 'missed' },
    { text: 'comparison.claims.webSocket.protocol', good: false, shown: 'connections' },
  ],
  webhook: [
    { text: 'comparison.claims.webhook.soon', good: true, shown: 'delay' },
    { text: 'comparison.claims.webhook.noneEmpty', good: true, shown: 'empty' },
    { text: 'comparison.claims.webhook.requests', good: false, shown: 'overhead' },
    { text: 'comparison.claims.webhook.address', good: false, shown: 'requests' },
    { text: 'comparison.claims.webhook.retries', good: false, shown: 'repeated' },
  ],
}

/** Whether there are figures to show yet. */
export function isKnown(shown: Claim['shown'], row: TechniqueRow): boolean {
  if (shown === 'delay') return row.median !== null
  if (shown === 'empty') return row.requests > 0
  return row.events > 0
}

/** The numbers that the messages under `comparison.shown` can name. */
export function shownNumbers(row: TechniqueRow, repeated: number, numbers: Numbers): Record<string, string> {
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
