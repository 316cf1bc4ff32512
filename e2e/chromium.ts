import { existsSync } from 'node:fs'
import { chromium, type Browser } from '@playwright/test'
import { findProgram } from '../server/testingPackage'
import type { Engine, Profile } from './engine'

/** A Chromium to test with: that of CHROMIUM_PATH, Playwright's own, or the machine's; null if there is none. */
export function findChromium(): string | null {
  const candidates = [
    process.env['CHROMIUM_PATH'] ?? '',
    chromium.executablePath(),
    ...['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].map(findProgram),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  ]
  return candidates.find((path) => path && existsSync(path)) ?? null
}

/** Chromium without a user interface, which needs a third less of a processor; null if there is none, or CHROMIUM_PATH has a browser. */
export function findHeadlessShell(): string | null {
  return process.env['CHROMIUM_PATH'] ? null : findProgram('chromium-headless-shell')
}

/** A Playwright browser behind the interface that the suites of all engines use. */
export function engineOf(browser: Browser): Engine {
  return {
    openProfile: async (): Promise<Profile> => {
      const context = await browser.newContext()
      return { openTab: () => context.newPage(), close: () => context.close() }
    },
    close: () => browser.close(),
  }
}
