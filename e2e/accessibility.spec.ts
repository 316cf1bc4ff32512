/** Each page checked by axe, by keyboard, on a phone and with reduced motion. */
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { pages } from '../shared/pages'
import { expect, test } from './fixture'

declare global {
  interface Window {
    /** The sum of all layout shifts: for each, the share of the view that moved times the distance. */
    shift: number
  }
}

const FOCUSABLE = 'a[href], button, input, select, textarea, summary, [tabindex="0"]'

// The pages have no frames. Without legacy mode, each analysis would open another page to merge the results of all frames.
const violations = async (page: Page): Promise<string[]> =>
  (await new AxeBuilder({ page }).setLegacyMode().analyze()).violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
  )

for (const [name, path] of Object.entries(pages)) {
  test.describe(() => {
    // Keeps streams open for as long as axe needs, even on a busy machine.
    test.use({ interval: 1_000 })

    for (const [colorScheme, locale] of [
      ['light', 'en-US'],
      ['dark', 'zh-CN'],
    ] as const) {
      test(`${name}: axe finds nothing, ${colorScheme}, ${locale}`, async ({ browser, site }) => {
        const context = await browser.newContext({ colorScheme, locale })
        const page = await context.newPage()
        await page.goto(site.url + path)
        await expect(page.getByRole('heading', { level: 2 })).toBeVisible()
        expect(await violations(page)).toEqual([])
        if (path === pages.use) return
        await page.locator('main button').first().click()
        await expect(page.locator('[data-status="open"], [data-state="running"]').first()).toBeVisible()
        expect(await violations(page)).toEqual([])
        await context.close()
      })
    }
  })

  test(`${name}: every control can be reached by keyboard, shows its focus, and fits a phone`, async ({
    page,
    site,
  }) => {
    await page.goto(site.url + path)
    await expect(page.getByRole('heading', { level: 2 })).toBeVisible()
    // The content of a snapshot has controls, too.
    await expect(page.locator('.loading')).toHaveCount(0)
    const controls = page.locator(FOCUSABLE).locator('visible=true')
    const expected = await controls.count()
    const reached = new Set<number>()
    const hidden: string[] = []
    // Tab reaches one radio button of a group; the arrow keys reach the others.
    const radios = await page.locator('input[type=radio]:not(:checked)').locator('visible=true').count()
    // One more: a page may start with the focus in a control, which then comes last.
    for (let n = 0; n <= expected; n++) {
      await page.keyboard.press('Tab')
      const { index, html, visible } = await page.evaluate((focusable) => {
        const all = [...document.querySelectorAll(focusable)]
        const element = document.activeElement ?? document.body
        const { outlineStyle, boxShadow } = getComputedStyle(element)
        return {
          index: all.indexOf(element),
          html: element.outerHTML.slice(0, 100),
          visible: outlineStyle !== 'none' || boxShadow !== 'none',
        }
      }, FOCUSABLE)
      if (index >= 0) reached.add(index)
      if (index >= 0 && !visible) hidden.push(html)
    }
    expect(reached.size).toBe(expected - radios)
    expect(hidden).toEqual([])
    await page.setViewportSize({ width: 360, height: 740 })
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  })
}

test('nothing moves with reduced motion', async ({ page, site }) => {
  site.route('/sse', () => undefined)
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await page.goto(site.url)
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await expect(page.getByRole('status')).toHaveText('Connecting …')
  expect(await page.evaluate(() => document.getAnimations().length)).toBe(0)
  await page.emulateMedia({ reducedMotion: 'no-preference' })
  await expect.poll(() => page.evaluate(() => document.getAnimations().length)).toBeGreaterThan(0)
})

test('nothing jumps while text streams in', async ({ page, site }) => {
  await page.goto(site.url)
  await page.evaluate(() => {
    window.shift = 0
    new PerformanceObserver((list) => {
      for (const { value = 0 } of list.getEntries() as (PerformanceEntry & { value?: number })[]) window.shift += value
    }).observe({ type: 'layout-shift', buffered: true })
  })
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await expect(page.getByRole('status')).toHaveText('Finished by the server')
  expect(await page.evaluate(() => window.shift)).toBeLessThan(0.01)
})

test('after navigation the focus is on the heading, and the page has its own title', async ({ page, site }) => {
  await page.goto(site.url)
  await expect(page).toHaveTitle('Timestamps – Server-Sent Events for Vue 3')
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('BODY')
  await page.getByRole('link', { name: 'Next: Channel' }).click()
  await expect(page).toHaveTitle('Channel – Server-Sent Events for Vue 3')
  await expect(page.getByRole('heading', { level: 2, name: 'Channel' })).toBeFocused()
  expect(await page.evaluate(() => scrollY)).toBe(0)
})
