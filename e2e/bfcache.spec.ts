/** A page that comes back from the browser's history is live, lost nothing, and did not connect again. */
import { stream, expect, test } from './fixture'
import { events, listen, status } from './listen'

// Playwright switches the cache off.
test.use({
  launchOptions: async ({ launchOptions }, use) =>
    use({ ...launchOptions, ignoreDefaultArgs: ['--disable-back-forward-cache'] }),
})

for (const [kind, idleTimeout] of [
  ['native', 0],
  ['fetch', 0],
  // Judged only after the browser has delivered what it held back meanwhile.
  ['native', 1_000],
  ['fetch', 1_000],
] as const) {
  test(`${kind}, idleTimeout ${idleTimeout}`, async ({ page, site }) => {
    let n = 0
    site.route('/sse', (_req, res) => {
      stream(res)
      const timer = setInterval(() => res.write(`id: ${++n}\ndata: ${n}\n\n`), 50)
      res.on('close', () => clearInterval(timer))
    })
    await listen(page, site, '/sse', { kind, idleTimeout })
    await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (document.title = String(persisted))))
    await expect.poll(async () => (await events(page)).length).toBeGreaterThan(3)

    await page.evaluate((to) => (location.href = to), `${site.url}/`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    const away = n
    await expect.poll(() => n, { timeout: 20_000 }).toBeGreaterThan(away + (idleTimeout > 0 ? 60 : 10))
    await page.evaluate(() => history.back())

    await expect(page).toHaveTitle('true')
    await status(page).toBe('open')
    await expect.poll(async () => (await events(page)).length).toBeGreaterThan(away + 15)
    const heard = await events(page)
    expect(heard).toEqual(heard.map((_event, at) => `message:${at + 1}:${at + 1}`))
    expect(site.to('/sse')).toHaveLength(1)
  })
}
