import { expect, test } from './fixture'

for (const action of ['prefetch', 'prerender'] as const) {
  test(`${action} of a push changes nothing, and opening its address does`, async ({ page, site }) => {
    const push = '/sse/push?id=ahead&content=x'
    const rules = JSON.stringify({ [action]: [{ urls: [push], eagerness: 'immediate' }] })
    site.route('/ahead', (_req, res) =>
      res
        .setHeader('Content-Type', 'text/html')
        .end(`<!doctype html><script type="speculationrules">${rules}</script><a href="${push}">push</a>`),
    )
    await page.goto(`${site.url}/ahead`)
    await expect
      .poll(() => site.to('/sse/push').map(({ headers }) => headers['sec-purpose']))
      .toEqual([expect.stringContaining('prefetch')])
    // There is no channel to close yet.
    expect((await fetch(`${site.url}/sse/over?id=ahead`)).status).toBe(404)
    await page.getByRole('link').click()
    await expect(page.locator('body')).toHaveText('pushed!')
    expect((await fetch(`${site.url}/sse/over?id=ahead`)).status).toBe(200)
  })
}
