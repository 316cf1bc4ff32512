/** The time of day in the reader's time zone: `10:13:20.007`. `moment` in epoch milliseconds. */
export function timeOfDay(moment: number): string {
  const date = new Date(moment)
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
