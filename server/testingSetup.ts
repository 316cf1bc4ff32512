/** Runs once before the tests of the server: gets the real programs that they need beside them. */

import { findProgram, installPackages } from './testingPackage'

export function setup(): void {
  const missing = ['nginx', 'redis-server'].filter((name) => findProgram(name) === null)
  if (missing.length > 0) installPackages(...missing)
}
