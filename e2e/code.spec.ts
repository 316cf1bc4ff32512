/** The code beside each demo, as readers see and copy it. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from '@playwright/test'
import { pages } from '../shared/pages'
import { contrast } from './contrast'
import { expect, test } from './fixture'

const panels = (page: Page) => page.locator('figure:has(.file)')
const region = (page: Page, name: string | RegExp) => page.getByRole('region', { name })
const onDisk = (file: string): string => readFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), 'utf8')

for (const path of Object.values(pages)) {
  test(`${path} copies its files exactly, to the last character`, async ({ page, site, context }) => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write'])
    await page.goto(`${site.url}${path}`)
    await page.locator('h2').waitFor()
    for (const panel of await panels(page).all()) {
      const file = (await panel.locator('.file').textContent()) ?? ''
      await panel.getByRole('button', { name: 'Copy', exact: true }).click()
      await expect(panel.locator('[aria-live]')).toHaveText('Copied')
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(onDisk(file))
    }
  })
}

test('a long file is folded, says how long it is, and unfolds completely', async ({ page, site }) => {
  await page.goto(`${site.url}/emitter`)
  const file = 'server/demos/emitter.ts'
  const whole = onDisk(file)
  const code = region(page, `On the server ${file}`)
  const folded = (await code.textContent()) ?? ''
  expect(whole.startsWith(folded)).toBe(true)
  expect(folded.split('\n').length).toBeLessThan(30)
  const fold = page.getByRole('button', { name: `Show all ${whole.split('\n').length - 1} lines` })
  await expect(fold).toHaveAttribute('aria-expanded', 'false')
  await fold.press('Enter')
  expect(await code.textContent()).toBe(whole)
  await page.getByRole('button', { name: 'Show less' }).press('Enter')
  expect(await code.textContent()).toBe(folded)
})

test('a long line can be scrolled by keyboard', async ({ page, site }) => {
  await page.setViewportSize({ width: 390, height: 800 })
  await page.goto(site.url)
  const code = region(page, /^In the page/)
  await page.getByRole('button', { name: 'Copy' }).first().focus()
  await page.keyboard.press('Tab')
  await expect(code).toBeFocused()
  await page.keyboard.press('ArrowRight')
  await expect.poll(() => code.evaluate((element) => element.scrollLeft)).toBeGreaterThan(0)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390)
})

test('a browser that forbids copying is explained', async ({ page, site }) => {
  await page.addInitScript(() => {
    navigator.clipboard.writeText = () => Promise.reject(new DOMException('', 'NotAllowedError'))
  })
  await page.goto(site.url)
  await page.getByRole('button', { name: 'Copy' }).first().click()
  await expect(page.getByText('The browser did not allow copying')).toBeVisible()
})

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every kind of token can be read on the ${colorScheme} page`, async ({ page, site }) => {
    await page.emulateMedia({ colorScheme })
    await page.goto(`${site.url}/emitter`)
    await page.getByRole('button', { name: /^Show all/ }).click()
    const background = await page
      .locator('figure pre')
      .first()
      .evaluate((pre) => getComputedStyle(pre).backgroundColor)
    const colors = await page
      .locator('figure code, figure code span')
      .evaluateAll((elements) =>
        elements.map((element): [string, string] => [element.classList.value, getComputedStyle(element).color]),
      )
    const kinds = new Map(colors)
    expect([...kinds.keys()].sort()).toEqual(
      ['', 'attribute', 'comment', 'constant', 'keyword', 'name', 'punctuation', 'string', 'tag'].sort(),
    )
    for (const [kind, color] of kinds) expect(contrast(color, background), kind).toBeGreaterThanOrEqual(4.5)
  })
}
