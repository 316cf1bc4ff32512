import { defineConfig } from '@playwright/test'
import { findChromium } from './e2e/chromium'
import { CHROMIUM_ONLY } from './e2e/engine'
import type { WorkerFixtures } from './e2e/fixture'

/** Also for the engines that Playwright does not drive. */
const everywhere = {
  testIgnore: Object.keys(CHROMIUM_ONLY).map((name) => `${name}.spec.ts`),
  // Firefox reconnects after half a second at the earliest, whatever `retry:` says. What takes 25 reconnections takes that long.
  expect: { timeout: 20_000 },
}

export default defineConfig<object, Pick<WorkerFixtures, 'engineName'>>({
  testDir: 'e2e',
  globalSetup: './e2e/setup.ts',
  // Most of a test is waiting, so two processors do three at a time. With more, streams that wait for a processor look like streams that stall.
  workers: 3,
  fullyParallel: true,
  forbidOnly: true,
  reporter: 'list',
  // On two busy processors a page can take seconds to appear.
  expect: { timeout: 10_000 },
  use: {
    locale: 'en-US',
    launchOptions: {
      executablePath: findChromium() ?? '',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // Each window of a Chromium with a user interface would start two more renderers, for what its address bar suggests.
        '--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup',
      ],
    },
  },
  projects: [
    { name: 'chromium' },
    { name: 'firefox', ...everywhere, use: { engineName: 'firefox' } },
    { name: 'webkit', ...everywhere, use: { engineName: 'webkit' } },
  ],
})
