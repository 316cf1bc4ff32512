/** Programs that tests need besides npm's packages. */

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a program, also of one that only root has in its PATH; null if there is none. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

/** Installs Debian packages where that is possible, as in a container, saying so first. */
export function installPackages(...names: string[]): void {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return
  console.log(`Installing with apt-get: ${names.join(', ')}.`)
  const options = { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const
  try {
    execFileSync('apt-get', ['update', '-qq'], options)
    execFileSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], options)
  } catch (error) {
    console.error(String(error))
  }
}

/**
 * The path of a program that a test needs, which `testingSetup.ts` has tried to install. Null where there is none, which is said in
 * one line.
 *
 * @throws if there is none and nothing may be skipped: CI is set.
 */
export function neededProgram(name: string, tests: string): string | null {
  const path = findProgram(name)
  if (path !== null) return path
  const reason = `there is no ${name}: install it.`
  if (process.env['CI']) throw new Error(`${tests} cannot run, because ${reason}`)
  console.warn(`Skipped: ${tests}, because ${reason}`)
  return null
}
