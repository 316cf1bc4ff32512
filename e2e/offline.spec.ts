/** A network that really goes and comes back. */
import { expect, stream, test } from './fixture'
import { content, status, statuses } from './listen'

for (const kind of ['native', 'fetch', 'shared-fetch'] as const) {
  test(`${kind}: being online again ends a long wait`, async ({ page, site, context }) => {
    site.route('/sse', (_req, res) => {
      if (site.to('/sse').length === 1) res.writeHead(503).end()
      else stream(res, 'data: a\n\n')
    })
    await page.goto(`${site.url}/harness`)
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'onLine', { get: () => false, configurable: true })
    })
    await page.evaluate(
      (transport) => window.listen('/sse', ['message'], { kind: transport, retry: { initialDelay: 10 } }),
      kind,
    )
    await status(page).toBe('reconnecting')
    const wait = await page.evaluate(() => (window.harness.stream.retryAt.value ?? 0) - Date.now())
    expect(wait).toBeGreaterThan(20_000)

    await context.setOffline(true)
    await context.setOffline(false)
    await expect.poll(() => content(page)).toBe('a')
    expect(await statuses(page)).toEqual([
      'connecting',
      kind === 'native' ? 'reconnecting refused' : 'reconnecting http',
      'open',
    ])
  })
}
