/**
 * Nothing lost, nothing doubled, order kept, and a status that never lied: whatever happens on the way.
 *
 * `FAULTS=1000 npm run test:browser -- faults` is the long run; `SEED=…` repeats one that failed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { FaultyProxy } from './faultyProxy'
import { expect, test } from './fixture'

const FAULTS = Number(process.env['FAULTS'] ?? 40)

for (const kind of ['native', 'fetch', 'shared'] as const) {
  test(`${kind}: ${FAULTS} faults`, async ({ page, site }) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    console.log(`${kind}: SEED=${seed}`)
    test.setTimeout(60_000 + FAULTS * 1_500)
    site.route('/numbers', (req, res) => {
      const emitter = site.streams.open(req, res, { retry: 10, heartbeat: 100, ping: true })
      const query = new URL(req.url ?? '', site.url).searchParams
      const after = String(req.headers['last-event-id'] ?? query.get('lastEventId') ?? '')
      void site.hub.subscribe('numbers', emitter, { after })
    })
    const proxy = new FaultyProxy(Number(new URL(site.url).port), seed)
    const url = await proxy.listen()

    await page.goto(`${url}/harness`)
    await page.evaluate(
      (transport) =>
        window.listen('/numbers', ['message', 'stream-reset', 'close'], {
          kind: transport,
          idleTimeout: 1_000,
          retry: { initialDelay: 10, maxDelay: 50, maxAttempts: Infinity },
        }),
      kind,
    )
    const published: string[] = []
    while (proxy.faults < FAULTS) {
      // Bursts and pauses; far fewer than a channel keeps while one connection is lost.
      for (let n = published.length % 5; n >= 0; n--) {
        published.push(`${published.length}é,`)
        await site.hub.publish('numbers', { data: published.at(-1) ?? '' })
      }
      await sleep(5)
    }
    proxy.calm()
    await site.hub.over('numbers')

    await expect.poll(() => page.evaluate(() => window.harness.stream.status.value), { timeout: 20_000 }).toBe('closed')
    const { content, events, lies, statuses } = await page.evaluate(() => {
      const { stream, ...written } = window.harness
      return {
        content: stream.content.value,
        events: written.events,
        lies: written.lies,
        statuses: written.statuses,
      }
    })
    await proxy.close()
    console.log(
      `${kind}: ${proxy.faults} faults, ${published.length} events, ${site.to('/numbers').length} connections`,
    )
    expect(events.filter((event) => event.startsWith('stream-reset'))).toEqual([])
    expect(firstDifference(content, published)).toBe('')
    expect(events.filter((event) => event.startsWith('message'))).toHaveLength(published.length)
    expect(lies).toEqual([])
    expect(statuses.at(-1)).toBe('closed finished')
    expect(site.to('/numbers').length).toBeGreaterThan(FAULTS / 4)
  })
}

/** Where what came differs from what was published, with what stands there. */
function firstDifference(content: string, published: readonly string[]): string {
  const came = content.split(/(?<=,)/)
  const at = published.findIndex((text, n) => text !== came[n])
  if (at === -1 && came.length === published.length) return ''
  return `${came.length} of ${published.length}, at ${at}: ${came.slice(Math.max(0, at - 2), at + 3).join(' ')}`
}
