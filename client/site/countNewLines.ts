/** Characters by which the end of a text is found again. */
const TAIL = 200

/**
 * The lines that a text has more than it had before. Its beginning may be gone since, because the newest of a stream is kept: when
 * nothing is left of what it was, there are more.
 */
export function countNewLines(before: string, now: string): { count: number; more: boolean } {
  if (now.startsWith(before)) return { count: lineEnds(now.slice(before.length)), more: false }
  const tail = before.slice(-TAIL)
  const at = now.indexOf(tail)
  return { count: lineEnds(now.slice(at < 0 ? 0 : at + tail.length)), more: at < 0 }
}

function lineEnds(text: string): number {
  return text.split('\n').length - 1
}
