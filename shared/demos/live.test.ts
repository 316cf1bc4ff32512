import { expect, it } from 'vitest'
import { withPoint, type Point } from './live'

const minute = Array.from({ length: 61 }, (_, n) => ({ time: 3_600_000 + n * 1_000, value: n }))

it('begins a line anew when the clock of the server was set back, and not for a point that is only late', () => {
  const last = minute.at(-1)?.time ?? 0
  const late: Point = { time: last - 5_000, value: 0 }
  expect(withPoint(minute, late)).toEqual(minute)
  const back: Point = { time: last - 3_600_000, value: 7 }
  const begun = withPoint(minute, back)
  expect(begun).toEqual([back])
  expect(withPoint(begun, { time: back.time + 1_000, value: 8 })).toHaveLength(2)
})
