/**
 * A stream outlives every outage, in a real browser: a server that refuses connections, a proxy that answers 502, a deploy.
 *
 * `OUTAGE=60 npm run test:browser -- outage` is the long run, in seconds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Tab } from './engine'
import { expect, stream, test, type Site } from './fixture'
import { content, listen, statuses } from './listen'

const OUTAGE = Number(process.env['OUTAGE'] ?? 4)

interface Numbers {
  top: () => number
  stop: () => void
  /** Every request is answered with 502, as by a proxy whose server is down. */
  isAway: boolean
}

/** Numbers from 1, one every 50 ms until `stop`; a client gets those after its id. */
function count(site: Site): Numbers {
  const began = Date.now()
  let end = Infinity
  const numbers: Numbers = {
    top: () => Math.min(end, Math.floor((Date.now() - began) / 50)),
    stop: () => (end = numbers.top() + 1),
    isAway: false,
  }
  site.route('/numbers', (req, res) => {
    if (numbers.isAway) {
      res.writeHead(502).end('<h1>Bad gateway</h1>')
      return
    }
    const query = new URL(req.url ?? '', site.url).searchParams
    let n = Number(req.headers['last-event-id'] ?? query.get('lastEventId') ?? 0)
    stream(res)
    const timer = setInterval(() => {
      while (n < numbers.top()) res.write(`id: ${++n}\ndata: ${n},\n\n`)
      if (n === end) res.end('event: close\ndata: bye\n\n')
    }, 20)
    res.on('close', () => clearInterval(timer))
  })
  return numbers
}

async function expectAll(tab: Tab, numbers: Numbers): Promise<void> {
  numbers.stop()
  await expect.poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 60_000 }).toBe('closed')
  expect(await content(tab)).toBe(Array.from({ length: numbers.top() }, (_, n) => `${n + 1},`).join(''))
  expect((await statuses(tab)).filter((status) => status.startsWith('failed'))).toEqual([])
  expect(await tab.evaluate(() => window.harness.lies)).toEqual([])
}

for (const kind of ['native', 'fetch', 'shared', 'shared-fetch'] as const) {
  test.describe(kind, () => {
    test.setTimeout(120_000 + OUTAGE * 2_000)

    test(`${OUTAGE} s of refused connections, with default options`, async ({ tab, site }) => {
      const numbers = count(site)
      await listen(tab, site, '/numbers', { kind })
      await expect.poll(async () => (await content(tab)).length).toBeGreaterThan(3)
      await site.stop()
      await sleep(OUTAGE * 1_000)
      expect(await tab.evaluate(() => window.harness.stream.status.value)).toBe('reconnecting')
      await site.start()
      await expect.poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 45_000 }).toBe('open')
      await expectAll(tab, numbers)
    })

    test(`${OUTAGE} s of 502 from a proxy`, async ({ tab, site }) => {
      const numbers = count(site)
      await listen(tab, site, '/numbers', { kind })
      await expect.poll(async () => (await content(tab)).length).toBeGreaterThan(3)
      await site.stop()
      numbers.isAway = true
      await site.start()
      await sleep(OUTAGE * 1_000)
      expect(await tab.evaluate(() => window.harness.stream.status.value)).toBe('reconnecting')
      numbers.isAway = false
      await expect.poll(() => tab.evaluate(() => window.harness.stream.status.value), { timeout: 45_000 }).toBe('open')
      await expectAll(tab, numbers)
    })

    test('a deploy that restarts the server ten times', async ({ tab, site }) => {
      const numbers = count(site)
      await listen(tab, site, '/numbers', { kind, retry: { maxDelay: 1_000 } })
      for (let restart = 0; restart < 10; restart++) {
        await sleep(150)
        await site.stop()
        await sleep(100)
        await site.start()
      }
      await expectAll(tab, numbers)
    })
  })
}
