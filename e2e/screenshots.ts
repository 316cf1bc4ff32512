/** The pictures of the READMEs: `npm run screenshots` after a change to the page. */
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'
import { findChromium } from './chromium'
import { Site } from './fixture'
import setup from './setup'

const PICTURES = [
  { file: 'timestamps.en.png', locale: 'en-US', colorScheme: 'light', start: 'Start' },
  { file: 'timestamps.zh-CN.png', locale: 'zh-CN', colorScheme: 'dark', start: '发起调用' },
] as const

await setup()
const site = new Site('', 1_000)
await site.start()
const browser = await chromium.launch({
  executablePath: findChromium() ?? '',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
for (const { file, start, ...options } of PICTURES) {
  const page = await browser.newPage({ ...options, viewport: { width: 1200, height: 700 } })
  await page.goto(site.url)
  await page.getByRole('button', { name: start, exact: true }).click()
  await page.getByRole('row').nth(6).waitFor()
  await page.screenshot({ path: fileURLToPath(new URL(`../docs/${file}`, import.meta.url)) })
}
await browser.close()
await site.stop()
