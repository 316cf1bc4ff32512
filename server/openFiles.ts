/** For files that are not connections: the page's, the log, Node's own. */
const RESERVED = 64

/** How many connections the process may open, given its limit on open files (`ulimit -n`). Windows has none. */
export function maxConnections(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
  const limit = Number(userLimits?.open_files?.soft)
  return Number.isNaN(limit) ? Infinity : Math.max(limit - RESERVED, 16)
}
