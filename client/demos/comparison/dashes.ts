import type { Technique } from '../../../shared/demos/comparison'

/** Each technique's line in the plots and in their legend, told apart also by those who do not see the colours: lengths of dash and gap in pixels. */
export const DASHES: Record<Technique, number[]> = {
  shortPolling: [2, 3],
  longPolling: [8, 4],
  sse: [],
  webSocket: [12, 3, 2, 3],
  webhook: [4, 2],
}
