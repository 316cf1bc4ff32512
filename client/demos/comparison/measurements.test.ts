import { beforeEach, describe, expect, it } from 'vitest'
import type { ComparisonFigures } from '../../../shared/demos/comparison'
import { each, Measurements } from './measurements'

describe('the webhook', () => {
  let measurements: Measurements

  beforeEach(() => {
    measurements = new Measurements()
    measurements.begin()
  })

  /** Takes figures with these deliveries, the webhook having been enabled after event `webhookAfter`. */
  function take(numbers: readonly number[], webhookAfter: number): void {
    const nothing = { requests: 0, empty: 0, events: 0, eventBytes: 0, up: 0, down: 0 }
    const figures: ComparisonFigures = {
      now: 0,
      newest: 0,
      techniques: each(() => nothing),
      repeated: 0,
      deliveries: numbers.map((n) => [n, 1, n]),
      webhookAfter,
    }
    measurements.take(figures, 0, 0)
  }

  it('counts deliveries from before it was disabled, even if they are reported after it is enabled again', () => {
    take([1, 2], 0)
    take([3, 4, 9, 10], 8)
    expect(measurements.tallies.webhook).toMatchObject({ received: 6, missed: 0 })
    expect(measurements.delivered).toBe(10)
  })

  it('misses events that are not delivered while it is enabled', () => {
    take([5, 6], 4)
    take([8], 4)
    take([9, 11], 4)
    expect(measurements.tallies.webhook).toMatchObject({ received: 5, missed: 2 })
  })
})
