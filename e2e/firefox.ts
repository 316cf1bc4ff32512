import { existsSync } from 'node:fs'
import puppeteer, { type Page } from 'puppeteer-core'
import { findProgram } from '../server/testingPackage'
import type { Engine, Profile, Tab } from './engine'
import { WHILE_HELD } from './keptProcess'

/** A Firefox to test with: that of FIREFOX_PATH, or the machine's; null if there is none. */
export function findFirefox(): string | null {
  const candidates = [
    process.env['FIREFOX_PATH'] ?? '',
    findProgram('firefox-esr'),
    findProgram('firefox'),
    '/Applications/Firefox.app/Contents/MacOS/firefox',
  ]
  return candidates.find((path) => path && existsSync(path)) ?? null
}

/** A stock Firefox, driven over WebDriver BiDi. */
export async function openFirefox(): Promise<Engine> {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: '/bin/sh',
    ignoreDefaultArgs: true,
    args: [
      '-c',
      WHILE_HELD,
      'sh',
      findFirefox() ?? '',
      ...puppeteer.defaultArgs({ browser: 'firefox', headless: true }),
    ],
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    defaultViewport: { width: 1280, height: 720 },
    // A busy machine is slow.
    timeout: 90_000,
    protocolTimeout: 90_000,
  })
  return {
    openProfile: async (): Promise<Profile> => {
      const context = await browser.createBrowserContext()
      return { openTab: async () => tabOf(await context.newPage()), close: () => context.close() }
    },
    close: () => browser.close(),
  }
}

function tabOf(page: Page): Tab {
  return {
    goto: (url) => page.goto(url),
    evaluate: (run, ...arg) => page.evaluate(run as never, ...(arg as [])),
    screenshot: () => page.screenshot({ type: 'png' }),
    close: () => page.close(),
  }
}
