/** Values that differ by less count as equal: the share of the least, and what the clock or the counting cannot tell apart. */
const TOLERANCE = 0.5

export type Mark = 'best' | 'worst' | null

/**
 * Marks the best and the worst of some values, of which less is better. Several may be best; if all are about the same, nobody is worst. `margin` is
 * what two values may differ by for no reason.
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
