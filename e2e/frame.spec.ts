/** The frame of all pages: what is above the fold, what is visible in the dark theme, and what the address sets. */
import type { Page } from '@playwright/test'
import { pages } from '../shared/pages'
import { contrast } from './contrast'
import { expect, test } from './fixture'

const theme = (page: Page, name: string) => page.getByRole('group', { name: 'Theme' }).getByRole('button', { name })
const background = (page: Page): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor)

/** Pixels of an output that have to be visible. */
const ENOUGH = 110

const VIEWPORTS = {
  phone: { width: 375, height: 740 },
  'small laptop': { width: 1280, height: 800 },
}

for (const locale of ['en-US', 'zh-CN']) {
  test(`the output of every demo is above the fold of a phone and of a small laptop: ${locale}`, async ({
    browser,
    site,
  }) => {
    const context = await browser.newContext({ locale })
    const page = await context.newPage()
    for (const path of Object.values(pages).filter((one) => one !== pages.use)) {
      await page.goto(site.url + path)
      const output = page
        .locator('main')
        .locator('textarea[readonly], figure:has(figcaption[aria-live]), .frame, .rows, .figures, .app, .todoapp')
        .first()
      for (const [name, viewport] of Object.entries(VIEWPORTS)) {
        await page.setViewportSize(viewport)
        const box = await output.boundingBox()
        expect((box?.y ?? Infinity) + ENOUGH, `${path} on a ${name}`).toBeLessThanOrEqual(viewport.height)
      }
    }
    await context.close()
  })
}

test('the border of every control and of every output can be seen, light and dark', async ({ page, site }) => {
  for (const path of Object.values(pages)) {
    await page.goto(site.url + path)
    await expect(page.getByRole('heading', { level: 2 })).toBeVisible()
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      const borders = await page
        .locator('main :is(button, textarea, input:not([type]), .frame)')
        .locator('visible=true')
        .evaluateAll((elements) => elements.map((element) => getComputedStyle(element).borderTopColor))
      expect(borders.length).toBeGreaterThan(2)
      for (const border of borders)
        expect(contrast(border, await background(page)), `${path}, ${colorScheme}`).toBeGreaterThanOrEqual(3)
    }
  }
})

test('the theme is that of the system until one is chosen, for this visit and later ones', async ({ page, site }) => {
  await page.emulateMedia({ colorScheme: 'light' })
  await page.goto(site.url)
  const light = await background(page)
  await expect(theme(page, 'Same as system')).toHaveAttribute('aria-pressed', 'true')
  await theme(page, 'Dark').click()
  const dark = await background(page)
  expect(dark).not.toBe(light)
  await expect(page).toHaveURL(/[?&]theme=dark/)

  await page.getByRole('link', { name: 'Channel', exact: true }).click()
  await expect(page).toHaveURL(/\/channel\?.*theme=dark/)
  await page.goto(`${site.url}/wire`)
  expect(await background(page)).toBe(dark)
  await theme(page, 'Same as system').click()
  await expect(page).not.toHaveURL(/theme=/)
  expect(await background(page)).toBe(light)
  await page.reload()
  expect(await background(page)).toBe(light)
})

test('a theme and a language in the address apply to this visit only', async ({ page, site }) => {
  await page.goto(`${site.url}/?theme=dark&lang=zh-CN`)
  await expect(page.getByRole('button', { name: '发起调用' })).toBeVisible()
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark')
  await page.getByRole('link', { name: '频道', exact: true }).click()
  await expect(page).toHaveURL(/theme=dark/)
  await expect(page).toHaveURL(/lang=zh-CN/)
  await page.goto(site.url)
  await expect(page.getByRole('button', { name: 'Start', exact: true })).toBeVisible()
  await expect(page.locator('html')).not.toHaveAttribute('data-theme')
})

test('the theme is set before the first paint', async ({ page, site }) => {
  await page.addInitScript(() => localStorage.setItem('theme', 'dark'))
  await page.route('**/assets/*.js', () => undefined)
  await page.goto(site.url, { waitUntil: 'commit' })
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark')
})

test.describe('a run', () => {
  test.use({ interval: 100 })

  test('shows its progress, and marks where it resumed and where the next run starts', async ({ page, site }) => {
    await page.goto(site.url)
    const output = page.getByRole('textbox', { name: 'Output' })
    await expect(output).toHaveAttribute('placeholder', /Press “Start”/)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await expect(page.getByText(/^[5-9] of 30/)).toBeVisible()
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await expect(page.locator('[data-tone="stopped"]')).toBeVisible()
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await expect(page.getByText('30 of 30')).toBeVisible()
    await expect(page.locator('[data-tone="done"]')).toBeVisible()
    await expect(output).toHaveValue(/\n— resumed after …:\d+ —\n/)
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await expect(output).toHaveValue(/\n— new run —\n/)
  })
})
