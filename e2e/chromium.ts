import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from '@playwright/test'
import { installPackage } from '../server/testingPackage'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** A Chromium to test with: the one that CHROMIUM_PATH names, Playwright's own, or the machine's; null if there is none. */
export function findChromium(): string | null {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  const candidates = [
    process.env['CHROMIUM_PATH'] ?? '',
    chromium.executablePath(),
    ...onPath,
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ]
  return candidates.find((path) => path !== '' && existsSync(path)) ?? null
}

/** Gets a Chromium where there is none, saying so first. Returns null where that is not possible. */
export function provideChromium(): string | null {
  const found = findChromium()
  if (found !== null) return found

  const isRoot = process.getuid?.() === 0
  console.log('No Chromium found: installing one with Playwright.')
  const args = ['playwright', 'install', ...(isRoot ? ['--with-deps'] : []), 'chromium']
  spawnSync('npx', args, { stdio: 'inherit', timeout: 240_000, shell: process.platform === 'win32' })
  if (findChromium() !== null) return findChromium()

  installPackage('chromium')
  return findChromium()
}
