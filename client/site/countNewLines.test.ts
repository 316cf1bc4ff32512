import { expect, it } from 'vitest'
import { countNewLines } from './countNewLines'

const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, n) => `${from + n}: a line\n`).join('')

it.each([
  ['what was appended', lines(0, 5), lines(0, 8), { count: 3, more: false }],
  ['nothing', lines(0, 5), lines(0, 5), { count: 0, more: false }],
  ['equal lines', 'a\n'.repeat(50), 'a\n'.repeat(70), { count: 20, more: false }],
  ['all, at first', '', lines(0, 2), { count: 2, more: false }],
  ['what was appended while the beginning was cut off', lines(0, 100), lines(60, 120), { count: 20, more: false }],
  ['what is left, when all that was there is gone', lines(0, 100), lines(500, 600), { count: 100, more: true }],
])('counts %s', (_what, before, now, expected) => {
  expect(countNewLines(before, now)).toEqual(expected)
})
