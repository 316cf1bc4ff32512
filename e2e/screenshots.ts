/** Takes the pictures of the READMEs: run `npm run screenshots` after a change to the page. */
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from '@playwright/test'
import { pages } from '../shared/pages'
import { findChromium } from './chromium'
import { Site } from './fixture'
import setup from './setup'

const LANGUAGES = [
  { locale: 'en', colorScheme: 'light' },
  { locale: 'zh-CN', colorScheme: 'dark' },
] as const

/** What each picture shows, after the first button, Start, was pressed. */
const PICTURES: Partial<Record<keyof typeof pages, { height: number; until: (page: Page) => Promise<void> }>> = {
  timestamps: { height: 800, until: (page) => page.getByRole('row').nth(6).waitFor() },
  channel: {
    height: 800,
    until: async (page) => {
      await page.getByRole('button', { name: /1[,、] ?2[,、] ?3/ }).click()
      await page.waitForTimeout(4_000)
    },
  },
  comparison: { height: 1_000, until: (page) => page.waitForTimeout(30_000) },
}

await setup()
const site = new Site('', 1_000)
await site.start()
const browser = await chromium.launch({
  executablePath: findChromium() ?? '',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
for (const [name, { height, until }] of Object.entries(PICTURES)) {
  for (const { locale, colorScheme } of LANGUAGES) {
    const page = await browser.newPage({ locale, colorScheme, viewport: { width: 1280, height } })
    await page.goto(site.url + pages[name as keyof typeof pages])
    await page.locator('main button').first().click()
    await until(page)
    await page.screenshot({ path: fileURLToPath(new URL(`../docs/${name}.${locale}.png`, import.meta.url)) })
    await page.close()
  }
}
await browser.close()
await site.stop()
