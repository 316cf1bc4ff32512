/**
 * Nothing lost, nothing doubled, order kept, and a status that never lied: whatever happens on the way.
 *
 * `FAULTS=1000 npm run test:browser -- faults` is the long run; `SEED=…` repeats one that failed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Page } from '@playwright/test'
import type { SseEmitter } from '../server/sse/emitter'
import { FaultyProxy } from './faultyProxy'
import { expect, test } from './fixture'

const FAULTS = Number(process.env['FAULTS'] ?? 40)

for (const kind of ['native', 'fetch', 'shared'] as const) {
  test(`${kind}: ${FAULTS} faults`, async ({ page, site }) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    console.log(`${kind}: SEED=${seed}`)
    test.setTimeout(60_000 + FAULTS * 1_500)
    site.route('/numbers', (req, res) => {
      const open = () => site.streams.open(req, res, { retry: 10, heartbeat: 100, ping: true })
      const query = new URL(req.url ?? '', site.url).searchParams
      const after = String(req.headers['last-event-id'] ?? query.get('lastEventId') ?? '')
      void site.hub.subscribe('numbers', open, { after })
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

/** What each tab listens to, besides the end. */
const TABS = [['message'], ['message', 'a'], ['message', 'a', 'b'], ['message', 'a']]

for (const kind of ['shared', 'shared-fetch'] as const) {
  test(`${kind}: ${FAULTS} faults, in tabs with different names that freeze in turn`, async ({ context, site }) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    console.log(`${kind}, different names: SEED=${seed}`)
    test.setTimeout(60_000 + FAULTS * 1_500)
    site.route('/numbers', (req, res) => {
      const open = (): SseEmitter => site.streams.open(req, res, { retry: 10, heartbeat: 100, ping: true })
      const query = new URL(req.url ?? '', site.url).searchParams
      const after = String(req.headers['last-event-id'] ?? query.get('lastEventId') ?? '')
      void site.hub.subscribe('numbers', open, { after })
    })
    const proxy = new FaultyProxy(Number(new URL(site.url).port), seed)
    const url = await proxy.listen()

    // So that every tab knows where it is before the first event that counts.
    await site.hub.publish('numbers', { data: 'begin' })
    const pages: Page[] = []
    for (const names of TABS) {
      const page = await context.newPage()
      await page.goto(`${url}/harness`)
      await page.evaluate(
        ([listened, transport]) =>
          window.listen('/numbers', [...listened, 'stream-reset', 'close'], {
            kind: transport,
            idleTimeout: 1_000,
            retry: { initialDelay: 10, maxDelay: 50, maxAttempts: Infinity },
          }),
        [names, kind] as const,
      )
      await expect
        .poll(() => page.evaluate(() => window.harness.stream.lastEventId.value), { timeout: 20_000 })
        .not.toBe('')
      pages.push(page)
    }
    const published: [string, string][] = []
    const freezing = new AbortController()
    /** One tab after another sleeps for a while. */
    const frozen = (async () => {
      for (let turn = 0; !freezing.signal.aborted; turn++) {
        const page = pages[turn % pages.length]
        await page?.evaluate(() => document.dispatchEvent(new Event('freeze')))
        await sleep(200)
        await page?.evaluate(() => document.dispatchEvent(new Event('resume')))
        await sleep(500)
      }
    })()
    while (proxy.faults < FAULTS) {
      for (let n = published.length % 5; n >= 0; n--) {
        const event = ['message', 'a', 'b'][(published.length * 7) % 3] ?? ''
        published.push([event, `${published.length}é,`])
        await site.hub.publish('numbers', { event, data: published.at(-1)?.[1] ?? '' })
      }
      await sleep(5)
    }
    freezing.abort()
    await frozen
    proxy.calm()
    await site.hub.over('numbers')

    for (const [at, page] of pages.entries()) {
      await expect
        .poll(() => page.evaluate(() => window.harness.stream.status.value), { timeout: 30_000 })
        .toBe('closed')
      const { events, lies, statuses } = await page.evaluate(() => {
        const { stream, ...written } = window.harness
        return { events: written.events, lies: written.lies, statuses: written.statuses, status: stream.status.value }
      })
      const came = events.filter((event) => !/^close:|:begin$/.test(event))
      const heard = came.map((event) => `${event.split(':')[0] ?? ''} ${event.split(':').at(-1) ?? ''}`)
      const expected = published.filter(([name]) => TABS[at]?.includes(name)).map((event) => event.join(' '))
      expect(heard).toEqual(expected)
      expect(lies).toEqual([])
      expect(statuses.at(-1)).toBe('closed finished')
    }
    await proxy.close()
    console.log(
      `${kind}, different names: ${proxy.faults} faults, ${published.length} events, ${site.to('/numbers').length} connections`,
    )
  })
}

/** Where what came differs from what was published, with what stands there. */
function firstDifference(content: string, published: readonly string[]): string {
  const came = content.split(/(?<=,)/)
  const at = published.findIndex((text, n) => text !== came[n])
  if (at === -1 && came.length === published.length) return ''
  return `${came.length} of ${published.length}, at ${at}: ${came.slice(Math.max(0, at - 2), at + 3).join(' ')}`
}
