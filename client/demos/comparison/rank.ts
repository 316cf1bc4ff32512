/** Values that differ by no more than this share of the smallest count as equal. */
const TOLERANCE = 0.5

export type Mark = 'best' | 'worst' | null

/**
 * Marks the best, which the page calls good, and the worst of some values, where less is better. Several may be best; if all are about equal, none is worst. Values that
 * differ by less than `margin` count as equal.
 */
export function marksOf(values: readonly (number | null)[], margin: number): Mark[] {
  const known = values.filter((value) => value !== null)
  const [least, most] = [Math.min(...known), Math.max(...known)]
  const best = least * (1 + TOLERANCE) + margin
  if (known.length < 2 || most <= best) return values.map(() => null)
  return values.map((value) =>
    value === null ? null : value <= best ? 'best' : value * (1 + TOLERANCE) >= most ? 'worst' : null,
  )
}
