/** Networks and tabs as they really come and go. */
import { expect, stream, test } from './fixture'
import { content, events, listen, status, statuses } from './listen'

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

  test(`${kind}: being offline closes no connection that lives`, async ({ page, site, context }) => {
    let send: (data: string) => void = () => undefined
    site.route('/sse', (_req, res) => {
      stream(res)
      send = (data) => void res.write(`data: ${data}\n\n`)
    })
    await listen(page, site, '/sse', { kind })
    await status(page).toBe('open')
    await page.evaluate(() => dispatchEvent(new Event('offline')))
    send('a')
    await expect.poll(() => content(page)).toBe('a')
    await page.evaluate(() => dispatchEvent(new Event('online')))
    send('b')
    await expect.poll(() => content(page)).toBe('ab')
    expect(site.to('/sse')).toHaveLength(1)
    expect(context.pages()).toHaveLength(1)
  })

  test(`${kind}: a page whose frames have stopped, as a hidden one's, still commits`, async ({ page, site }) => {
    site.route('/sse', (_req, res) => stream(res, 'data: a\n\n'))
    await page.goto(`${site.url}/harness`)
    await page.evaluate(() => {
      window.requestAnimationFrame = () => 0
    })
    await page.evaluate((transport) => window.listen('/sse', ['message'], { kind: transport }), kind)
    await expect.poll(() => content(page)).toBe('a')
  })

  test(`${kind}: a page that reads slowly holds the server back, and gets everything`, async ({ page, site }) => {
    // More than sockets hold: what the page has not taken waits at the server, and not in the page.
    const total = 3_000
    const text = 'x'.repeat(10_000)
    let send = (): void => undefined
    site.route('/sse', (_req, res) => {
      stream(res)
      let n = 0
      send = () => {
        while (n < total) if (!res.write(`id: ${++n}\ndata: ${n}:${text}\n\n`)) return void res.once('drain', send)
        res.write('event: close\ndata:\n\n')
      }
    })
    await listen(page, site, '/sse', { kind, names: ['close'], limit: 1_000 })
    await page.evaluate(() => {
      let seen = 0
      window.harness.stream.on('message', ({ data }) => {
        const until = performance.now() + 0.3
        while (performance.now() < until);
        if (data.startsWith(`${++seen}:`)) document.title = String(seen)
      })
    })
    await status(page).toBe('open')
    send()
    await expect.poll(() => page.evaluate(() => window.harness.stream.status.value), { timeout: 25_000 }).toBe('closed')
    await expect(page).toHaveTitle(String(total))
    expect(await events(page)).toHaveLength(1)
    expect((await content(page)).length).toBe(1_000)
  })
}
