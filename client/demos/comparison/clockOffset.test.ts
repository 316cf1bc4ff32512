import { expect, it } from 'vitest'
import { ClockOffset } from './clockOffset'

it('assumes that the server’s clock was read halfway through the shortest request', () => {
  const clock = new ClockOffset()
  expect(clock.offset).toBe(0)
  clock.add(1_000, 1_100, 6_090)
  expect(clock.offset).toBe(5_040)
  clock.add(2_000, 2_004, 7_002)
  expect(clock.offset).toBe(5_000)
  clock.add(3_000, 3_050, 8_050)
  expect(clock.offset).toBe(5_000)
})

it('forgets old samples: one of the clocks may have been set', () => {
  const clock = new ClockOffset()
  clock.add(0, 1, 5_000.5)
  for (let n = 1; n <= 30; n++) clock.add(n * 1_000, n * 1_000 + 10, n * 1_000 + 105)
  expect(clock.offset).toBe(100)
})
