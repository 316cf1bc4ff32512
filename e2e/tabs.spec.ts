/** Several tabs of one profile, some of them hidden, in every engine. */
import type { ServerResponse } from 'node:http'
import type { Tab } from './engine'
import { expect, stream, test, type Site } from './fixture'
import { content, events, listen, reason, status } from './listen'

test.setTimeout(60_000)

interface Numbers {
  live: Set<ServerResponse>
  finish: () => void
}

/** Numbers from 1, one every 20 ms; a request with an id gets those after it, others only new ones. */
function count(site: Site): Numbers {
  const began = Date.now()
  let end = Infinity
  const top = (): number => Math.min(end, Math.floor((Date.now() - began) / 20))
  const live = new Set<ServerResponse>()
  site.route('/numbers', (req, res) => {
    const query = new URL(req.url ?? '', site.url).searchParams
    let n = Number(req.headers['last-event-id'] ?? query.get('lastEventId') ?? top())
    live.add(stream(res))
    const timer = setInterval(() => {
      while (n < top()) res.write(`id: ${++n}\ndata: ${n},\n\n`)
      if (n === end) res.end('event: close\ndata: bye\n\n')
    }, 20)
    res.on('close', () => {
      clearInterval(timer)
      live.delete(res)
    })
  })
  return { live, finish: () => (end = top() + 1) }
}

const newest = async (tab: Tab): Promise<number> => Number((await events(tab)).at(-1)?.split(':')[1] ?? 0)

async function untilNews(tabs: readonly Tab[]): Promise<void> {
  for (const tab of tabs) {
    const seen = await newest(tab)
    await expect.poll(() => newest(tab), { timeout: 20_000 }).toBeGreaterThan(seen + 10)
  }
}

for (const kind of ['shared', 'shared-fetch'] as const) {
  test(`${kind}: five tabs have one connection, and when the leader closes the others miss nothing`, async ({
    openTab,
    site,
  }) => {
    const numbers = count(site)
    const tabs: Tab[] = []
    for (let n = 0; n < 5; n++) {
      const tab = await openTab()
      await listen(tab, site, '/numbers', { kind, retry: { initialDelay: 50 } })
      await status(tab).toBe('open')
      tabs.push(tab)
    }
    await untilNews(tabs)
    for (let closed = 0; closed < 3; closed++) {
      expect(numbers.live.size).toBe(1)
      await tabs.shift()?.close()
      await untilNews(tabs)
    }
    expect(site.to('/numbers')).toHaveLength(4)
    numbers.finish()
    for (const tab of tabs) {
      await status(tab).toBe('closed')
      expect(await reason(tab)).toBe('finished')
      const ids = (await events(tab)).slice(0, -1).map((event) => Number(event.split(':')[1]))
      expect(ids).toEqual(ids.map((_id, at) => (ids[0] ?? 0) + at))
      expect(await content(tab)).toBe(ids.map((id) => `${id},`).join(''))
    }
  })
}

for (const kind of ['native', 'fetch', 'shared'] as const) {
  test(`${kind}: a hidden tab keeps its content up to date`, async ({ openTab, site, engineName }) => {
    count(site)
    const tabs = [await openTab(), await openTab()]
    for (const tab of tabs) await listen(tab, site, '/numbers', { kind })
    const visible = await Promise.all(tabs.map((tab) => tab.evaluate(() => document.visibilityState)))
    expect(visible.filter((state) => state === 'hidden')).toHaveLength(engineName === 'chromium' ? 0 : 1)
    for (const tab of tabs) {
      const length = async (): Promise<number> => (await content(tab)).length
      for (let round = 0; round < 3; round++) {
        const before = await length()
        await expect.poll(length).toBeGreaterThan(before)
      }
    }
  })
}
