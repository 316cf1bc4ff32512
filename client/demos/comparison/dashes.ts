import type { Technique } from '../../../shared/demos/comparison'

/** The line style of each technique, so that plots can be read without colours: dash and gap lengths in pixels. */
export const DASHES: Record<Technique, number[]> = {
  shortPolling: [2, 3],
  longPolling: [8, 4],
  sse: [],
  webSocket: [12, 3, 2, 3],
  webhook: [4, 2],
}
