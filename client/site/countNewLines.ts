/** How many trailing characters identify the end of the old text. */
const TAIL = 200

/**
 * Counts the lines added to a text. Its beginning may have been trimmed since. If nothing of the old text is left, there were more
 * than can be counted.
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
