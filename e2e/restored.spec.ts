/** Every page stays alive in the back/forward cache. */
import { pages } from '../shared/pages'
import { expect, test } from './fixture'

test.use({ historyCache: true })

test('every page is restored from the history unchanged', async ({ page, site }) => {
  site.route('/elsewhere', (_req, res) => res.setHeader('Content-Type', 'text/html').end('<title>elsewhere</title>'))
  for (const path of Object.values(pages)) {
    await page.goto(site.url + path)
    await expect(page.getByRole('heading', { level: 2 })).toBeVisible()
    await page.evaluate(() => {
      document.body.dataset['mark'] = 'alive'
    })
    await page.goto(`${site.url}/elsewhere`)
    // `goBack` waits for a load event, which a page from the cache does not have.
    await page.evaluate(() => setTimeout(() => history.back()))
    await expect(page.locator('body')).toHaveAttribute('data-mark', 'alive')
  }
})
