/**
 * Nothing lost, nothing doubled, order kept, and a status that never lied: whatever happens on the way.
 *
 * `FAULTS=1000 npm run test:browser -- faults` is the long run; `SEED=…` repeats one that failed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SseEmitter } from '../server/sse/emitter'
import type { EngineName, Tab } from './engine'
import { FaultyProxy } from './faultyProxy'
import { expect, test } from './fixture'

/** As contract.spec.ts shows, WebKit's EventSource joins the received part of a cut event with the beginning of the next response. */
const mixes = (engineName: EngineName, kind: string): boolean => engineName === 'webkit' && !kind.endsWith('fetch')

const FAULTS = Number(process.env['FAULTS'] ?? 40)

for (const kind of ['native', 'fetch', 'shared'] as const) {
  test(`${kind}: ${FAULTS} faults`, async ({ tab, site, engineName }) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    console.log(`${kind}: SEED=${seed}`)
    test.setTimeout(60_000 + FAULTS * 1_500)
    site.route('/numbers', (req, res) => {
      const open = () => site.streams.open(req, res, { retry: 10, heartbeat: 100, ping: true })
      const query = new URL(req.url ?? '', site.url).searchParams
      const after = String(req.headers['last-event-id'] ?? query.get('lastEventId') ?? '')
      void site.hub.subscribe('numbers', open, { after })
    })
    const proxy = new FaultyProxy(Number(new URL(site.url).port), seed, { between: mixes(engineName, kind) })
    const url = await proxy.listen()

    await tab.goto(`${url}/harness`)
    await tab.evaluate(
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
      // Bursts and pauses, with far fewer events per outage than a channel keeps.
      for (let n = published.length % 5; n >= 0; n--) {
        published.push(`${published.length}é,`)
        await site.hub.publish('numbers', { data: published.at(-1) ?? '' })
      }
      await sleep(5)
    }
    proxy.calm()
    await site.hub.over('numbers')

    await expect.poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 20_000 }).toBe('closed')
    const { content, events, lies, statuses } = await tab.evaluate(() => {
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

/** The events that each tab listens to, besides the end. */
const TABS = [['message'], ['message', 'a'], ['message', 'a', 'b'], ['message', 'a']]

for (const kind of ['shared', 'shared-fetch'] as const) {
  test(`${kind}: ${FAULTS} faults, in tabs with different names that freeze in turn`, async ({
    openTab,
    site,
    engineName,
  }) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000)
    console.log(`${kind}, different names: SEED=${seed}`)
    test.setTimeout(60_000 + FAULTS * 1_500)
    site.route('/numbers', (req, res) => {
      const open = (): SseEmitter => site.streams.open(req, res, { retry: 10, heartbeat: 100, ping: true })
      const query = new URL(req.url ?? '', site.url).searchParams
      const after = String(req.headers['last-event-id'] ?? query.get('lastEventId') ?? '')
      void site.hub.subscribe('numbers', open, { after })
    })
    const proxy = new FaultyProxy(Number(new URL(site.url).port), seed, { between: mixes(engineName, kind) })
    const url = await proxy.listen()

    // So that every tab has a position before the first event that counts.
    await site.hub.publish('numbers', { data: 'begin' })
    const tabs: Tab[] = []
    for (const names of TABS) {
      const tab = await openTab()
      await tab.goto(`${url}/harness`)
      await tab.evaluate(
        ([listened, transport]) =>
          window.listen('/numbers', [...listened, 'stream-reset', 'close'], {
            kind: transport,
            idleTimeout: 1_000,
            retry: { initialDelay: 10, maxDelay: 50, maxAttempts: Infinity },
          }),
        [names, kind] as const,
      )
      await expect
        .poll(() => tab.evaluate(() => window.harness.stream.lastEventId.value), { timeout: 20_000 })
        .not.toBe('')
      tabs.push(tab)
    }
    const published: [string, string][] = []
    const freezing = new AbortController()
    /** The tabs sleep for a while, one after the other. */
    const frozen = (async () => {
      for (let turn = 0; !freezing.signal.aborted; turn++) {
        const tab = tabs[turn % tabs.length]
        await tab?.evaluate(() => document.dispatchEvent(new Event('freeze')))
        await sleep(200)
        await tab?.evaluate(() => document.dispatchEvent(new Event('resume')))
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

    for (const [at, tab] of tabs.entries()) {
      await expect
        .poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 30_000 })
        .toBe('closed')
      const { events, lies, statuses } = await tab.evaluate(() => {
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

/** The first difference between the received and the published events. */
function firstDifference(content: string, published: readonly string[]): string {
  const came = content.split(/(?<=,)/)
  const at = published.findIndex((text, n) => text !== came[n])
  if (at === -1 && came.length === published.length) return ''
  return `${came.length} of ${published.length}, at ${at}: ${came.slice(Math.max(0, at - 2), at + 3).join(' ')}`
}
