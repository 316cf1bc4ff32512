/** A value as JavaScript source. Unlike JSON, it can express `undefined`, `Infinity` and `NaN`, which WebDriver's arguments lose. */
export function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join()}]`
  if (typeof value === 'object' && value !== null)
    return `({${Object.entries(value)
      .map(([key, each]) => `${JSON.stringify(key)}:${literal(each)}`)
      .join()}})`
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || ['undefined', 'number', 'boolean'].includes(typeof value)) return String(value)
  throw new TypeError(`A ${typeof value} cannot be sent to a page.`)
}
