/** Pages that are offline, hidden or slow. */
import { expect, stream, test } from './fixture'
import { content, events, listen, status } from './listen'

for (const kind of ['native', 'fetch', 'shared-fetch'] as const) {
  test(`${kind}: being offline closes no live connection`, async ({ tab, site }) => {
    let send: (data: string) => void = () => undefined
    site.route('/sse', (_req, res) => {
      stream(res)
      send = (data) => void res.write(`data: ${data}\n\n`)
    })
    await listen(tab, site, '/sse', { kind })
    await status(tab).toBe('open')
    await tab.evaluate(() => dispatchEvent(new Event('offline')))
    send('a')
    await expect.poll(() => content(tab)).toBe('a')
    await tab.evaluate(() => dispatchEvent(new Event('online')))
    send('b')
    await expect.poll(() => content(tab)).toBe('ab')
    expect(site.to('/sse')).toHaveLength(1)
  })

  test(`${kind}: a page without animation frames, such as a hidden one, still commits`, async ({ tab, site }) => {
    site.route('/sse', (_req, res) => stream(res, 'data: a\n\n'))
    await tab.goto(`${site.url}/harness`)
    await tab.evaluate(() => {
      window.requestAnimationFrame = () => 0
    })
    await tab.evaluate((transport) => window.listen('/sse', ['message'], { kind: transport }), kind)
    await expect.poll(() => content(tab)).toBe('a')
  })

  test(`${kind}: a page that reads slowly holds the server back, and gets everything`, async ({ tab, site }) => {
    // More than sockets hold: unread events wait on the server, not in the tab.
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
    await listen(tab, site, '/sse', { kind, names: ['close'], limit: 1_000 })
    await tab.evaluate(() => {
      let seen = 0
      window.harness.stream.on('message', ({ data }) => {
        const until = performance.now() + 0.3
        while (performance.now() < until);
        if (data.startsWith(`${++seen}:`)) document.title = String(seen)
      })
    })
    await status(tab).toBe('open')
    send()
    await expect.poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 25_000 }).toBe('closed')
    expect(await tab.evaluate(() => document.title)).toBe(String(total))
    expect(await events(tab)).toHaveLength(1)
    expect((await content(tab)).length).toBe(1_000)
  })
}
