/** Runs the browser tests, and sees to it that there is a browser. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { provideChromium } from './chromium'

if (provideChromium() === null) {
  const mend = 'install Chromium or Chrome, or name one with CHROMIUM_PATH'
  if (process.env['CI']) {
    console.error(`No Chromium: ${mend}.`)
    process.exit(1)
  }
  console.warn(`Skipped: all browser tests (e2e/), 1 suite, because there is no Chromium: ${mend}.`)
  process.exit(0)
}

const cli = fileURLToPath(import.meta.resolve('@playwright/test/cli'))
const { status } = spawnSync(process.execPath, [cli, 'test', ...process.argv.slice(2)], { stdio: 'inherit' })
process.exit(status ?? 1)
