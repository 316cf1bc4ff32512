/** For what the process opens besides connections: the page's files, its log, its own machinery. */
const RESERVED = 64

/** How many connections the process may have open, by its limit of open files (`ulimit -n`). Windows has none. */
export function maxConnections(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | 'unlimited' } } }
  const limit = Number(userLimits?.open_files?.soft)
  return Number.isNaN(limit) ? Infinity : Math.max(limit - RESERVED, 16)
}
