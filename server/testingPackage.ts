/** Programs that tests need besides npm packages. */

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a program, even if only root has it in its PATH; null if it is missing. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

/** Announces and installs Debian packages, if running as root on Debian, as in a container. */
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
 * The path of a program that a test needs, which `testingSetup.ts` has tried to install. If it is missing, logs one line and
 * returns null.
 *
 * @throws if it is missing and CI is set, because nothing may be skipped then.
 */
export function neededProgram(name: string, tests: string): string | null {
  const path = findProgram(name)
  if (path !== null) return path
  const reason = `there is no ${name}: install it.`
  if (process.env['CI']) throw new Error(`${tests} cannot run, because ${reason}`)
  console.warn(`Skipped: ${tests}, because ${reason}`)
  return null
}
