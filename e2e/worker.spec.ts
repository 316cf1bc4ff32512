/** A stream works in a dedicated worker, which has no document and no window. */
import { expect, stream, test } from './fixture'

for (const kind of ['native', 'fetch'] as const) {
  test(`${kind}: a worker streams, reconnects and finishes`, async ({ tab, site }) => {
    site.route('/sse', (_req, res) => {
      if (site.to('/sse').length === 1) stream(res, 'id: 1\ndata: a\n\n').end()
      else stream(res, 'id: 2\ndata: b\n\nevent: close\ndata: bye\n\n')
    })
    // The harness is written for pages: its `window` is the worker's own scope.
    const script = `
      self.window = self
      await import('/harness.js')
      window.listen('sse', ['message', 'close'], { kind: '${kind}', retry: { initialDelay: 10 } })
      const { stream } = window.harness
      stream.on('close', () => setTimeout(() => postMessage([
        stream.status.value, stream.reason.value, stream.content.value, typeof document, window.harness.statuses,
      ])))`
    site.route('/worker.js', (_req, res) => res.setHeader('Content-Type', 'text/javascript').end(script))
    await tab.goto(`${site.url}/harness`)
    const said = await tab.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const worker = new Worker('/worker.js', { type: 'module' })
          worker.onmessage = ({ data }) => resolve(data)
          worker.onerror = ({ message }) => reject(new Error(message))
        }),
    )
    expect(said).toEqual([
      'closed',
      'finished',
      'ab',
      'undefined',
      ['connecting', 'open', 'reconnecting network', 'open', 'closed finished'],
    ])
    expect(site.to('/sse').map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '1'])
  })
}
