/** Runs once before the server's tests: installs the real programs that they need. */

import { findProgram, installPackages } from './testingPackage'

export function setup(): void {
  const missing = ['nginx', 'redis-server'].filter((name) => findProgram(name) === null)
  if (missing.length > 0) installPackages(...missing)
}
