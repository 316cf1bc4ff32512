/** Makes sure that there are browsers to test with. */
import { spawnSync } from 'node:child_process'
import { installPackages } from '../server/testingPackage'
import { findChromium, findHeadlessShell } from './chromium'
import type { EngineName } from './engine'
import { findFirefox } from './firefox'
import { findWebKit } from './webkit'

interface Source {
  find: () => unknown
  /** Debian's packages. */
  packages: string[]
  hint: string
}

export const SOURCES: Record<EngineName, Source> = {
  chromium: {
    find: findChromium,
    packages: ['chromium'],
    hint: 'install Chromium or Chrome, or name one with CHROMIUM_PATH',
  },
  firefox: {
    find: findFirefox,
    packages: ['firefox-esr'],
    hint: 'install Firefox (Debian: firefox-esr), or name one with FIREFOX_PATH',
  },
  webkit: {
    find: findWebKit,
    packages: ['webkit2gtk-driver', 'xvfb'],
    hint: "install WebKitGTK's driver (Debian: webkit2gtk-driver, xvfb)",
  },
}

/** Announces and installs missing engines. */
export function provide(engines: readonly EngineName[]): void {
  const isMissing = (name: EngineName): boolean => SOURCES[name].find() === null

  for (const name of engines.filter(isMissing)) installPackages(...SOURCES[name].packages)

  if (engines.includes('chromium') && isMissing('chromium')) {
    console.log('No Chromium found: installing one with Playwright.')
    const args = ['playwright', 'install', ...(process.getuid?.() === 0 ? ['--with-deps'] : []), 'chromium']
    spawnSync('npx', args, { stdio: 'inherit', timeout: 240_000, shell: process.platform === 'win32' })
  }

  const isDebians = findChromium() === '/usr/bin/chromium' && !process.env['CHROMIUM_PATH']
  if (engines.includes('chromium') && isDebians && !findHeadlessShell()) installPackages('chromium-headless-shell')
}
