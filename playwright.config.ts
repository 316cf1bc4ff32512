import { defineConfig } from '@playwright/test'
import { findChromium, findHeadlessShell } from './e2e/chromium'
import { CHROMIUM_ONLY } from './e2e/engine'
import type { WorkerFixtures } from './e2e/fixture'

/** Shared with the engines that Playwright does not drive. */
const everywhere = {
  // These browsers need more of a processor than Chromium's headless shell.
  workers: 3,
  testIgnore: Object.keys(CHROMIUM_ONLY).map((name) => `${name}.spec.ts`),
  // Firefox waits at least half a second before it reconnects, whatever `retry:` says, and some tests need 25 reconnections.
  expect: { timeout: 20_000 },
}

export default defineConfig<object, Pick<WorkerFixtures, 'engineName'>>({
  testDir: 'e2e',
  globalSetup: './e2e/setup.ts',
  // A test mostly waits, so two processors can run four at once. With more, streams that wait for a processor look stalled.
  workers: 4,
  fullyParallel: true,
  forbidOnly: true,
  reporter: 'list',
  // On two busy processors, a page can take seconds to appear.
  expect: { timeout: 10_000 },
  use: {
    locale: 'en-US',
    launchOptions: {
      executablePath: findHeadlessShell() ?? findChromium() ?? '',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        // Each window of a Chromium with a user interface would start two more renderers, for the suggestions of its address bar.
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
