/** A page restored from the browser's history is live and has lost nothing, whatever the engine did with it meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineName, Tab } from './engine'
import { expect, stream, test, type Site } from './fixture'
import { events, listen, status } from './listen'

test.use({ historyCache: true })

/** What each engine does with a page that has a stream when the reader leaves it. */
const LEAVING: Record<EngineName, 'kept alive' | 'kept and cut' | 'discarded'> = {
  chromium: 'kept alive',
  firefox: 'discarded',
  webkit: 'kept and cut',
}

interface Numbers {
  top: number
  open: number
}

/** Numbers from 1, one every 50 ms; a client gets those after its id. */
function count(site: Site): Numbers {
  const numbers = { top: 0, open: 0 }
  const began = Date.now()
  site.route('/sse', (req, res) => {
    const query = new URL(req.url ?? '', site.url).searchParams
    let n = Number(req.headers['last-event-id'] ?? query.get('lastEventId') ?? 0)
    numbers.open++
    stream(res)
    const timer = setInterval(() => {
      numbers.top = Math.floor((Date.now() - began) / 50)
      while (n < numbers.top) res.write(`id: ${++n}\ndata: ${n}\n\n`)
    }, 20)
    res.on('close', () => {
      clearInterval(timer)
      numbers.open--
    })
  })
  return numbers
}

/** Leaves the page for another one for some time, and comes back. */
async function leaveAndReturn(tab: Tab, site: Site, milliseconds: number): Promise<void> {
  site.route('/elsewhere', (_req, res) => res.setHeader('Content-Type', 'text/html').end('<title>elsewhere</title>'))
  await tab.evaluate(() => addEventListener('pageshow', ({ persisted }) => (document.title = String(persisted))))
  await tab.evaluate((to) => {
    location.href = to
  }, `${site.url}/elsewhere`)
  await expect.poll(() => title(tab)).toBe('elsewhere')
  await sleep(milliseconds)
  // Deferred, because otherwise the page would be gone before it could answer.
  await tab.evaluate(() => void setTimeout(() => history.back()))
  await expect.poll(() => title(tab)).not.toBe('elsewhere')
}

/** During a navigation there is no page to ask. */
const title = (tab: Tab): Promise<string> => tab.evaluate(() => document.title).catch(() => 'elsewhere')

for (const [kind, idleTimeout] of [
  ['native', 0],
  ['fetch', 0],
  ['shared', 0],
  ['shared-fetch', 0],
  // Checked only after the browser has delivered everything it held back.
  ['native', 1_000],
  ['fetch', 1_000],
] as const) {
  test(`${kind}, idleTimeout ${idleTimeout}`, async ({ tab, site, engineName }) => {
    const numbers = count(site)
    await listen(tab, site, '/sse', { kind, idleTimeout, retry: { initialDelay: 10 } })
    await expect.poll(async () => (await events(tab)).length).toBeGreaterThan(3)
    await leaveAndReturn(tab, site, idleTimeout > 0 ? 3_000 : 500)

    if (LEAVING[engineName] === 'discarded') {
      // The page is loaded again, and has not started to listen.
      expect(await title(tab)).toBe('')
      expect(await tab.evaluate(() => 'harness' in window)).toBe(false)
      await expect.poll(() => numbers.open).toBe(0)
      return
    }
    expect(await title(tab)).toBe('true')
    const away = numbers.top
    await expect.poll(async () => (await events(tab)).length, { timeout: 15_000 }).toBeGreaterThan(away + 15)
    await status(tab).toBe('open')
    const heard = await events(tab)
    expect(heard).toEqual(heard.map((_event, at) => `message:${at + 1}:${at + 1}`))
    await expect.poll(() => numbers.open).toBe(1)
    // A leader gives up its place when its page is left, even if there is no other tab.
    if (LEAVING[engineName] === 'kept alive' && !kind.startsWith('shared')) expect(site.to('/sse')).toHaveLength(1)
  })
}
