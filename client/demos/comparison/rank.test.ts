import { expect, it } from 'vitest'
import { marksOf } from './rank'

it.each([
  ['the least is best and the most is worst', [500, 2, 1, 1.1, 3], 2, ['worst', 'best', 'best', 'best', 'best']],
  ['what is near the worst is worst too', [40, 480, 60, 6, 330], 0, [null, 'worst', null, 'best', 'worst']],
  ['0 is best', [0, 0, 0, 12, 0], 0, ['best', 'best', 'best', 'worst', 'best']],
  ['nothing is marked where all are about the same', [10, 11, 12], 1, [null, null, null]],
  ['or where nothing is known', [null, 3, null], 0, [null, null, null]],
  ['what is not known has no mark', [null, 1, 100], 0, [null, 'best', 'worst']],
] as const)('%s', (_name, values, margin, marks) => {
  expect(marksOf(values, margin)).toEqual(marks)
})
