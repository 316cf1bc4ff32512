/**
 * One connection for all tabs: whatever happens to the leading tab, no other tab misses an event or gets one twice.
 *
 * `STORM=500 npm run test:browser -- shared` is the long run; `SEED=…` repeats one that failed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium, type BrowserContext, type Page } from '@playwright/test'
import { findChromium } from './chromium'
import { expect, stream, test, type Site } from './fixture'
import { content, events, listen, reason, status, statuses } from './listen'

const STORM = Number(process.env['STORM'] ?? 30)
const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000)

test.setTimeout(60_000)

const poll = <T>(actual: () => T | Promise<T>) => expect.poll(actual, { timeout: 20_000 })

/**
 * Numbers, one every 10 ms until the test ends them, as events with these names in turn. A request with an id gets the numbers after
 * it, others only new ones.
 */
class Numbers {
  readonly names: readonly string[]
  top = 0
  readonly live = new Set<ServerResponse>()
  /** The most connections at once. */
  most = 0
  /** The id after which each request resumes. */
  readonly requests: (string | null)[] = []
  #finished = false
  #timer: NodeJS.Timeout | undefined

  constructor(site: Site, names: readonly string[] = ['message']) {
    this.names = names
    site.route('/numbers', (req, res) => this.#serve(req, res))
  }

  nameOf(n: number): string {
    return this.names[n % this.names.length] ?? ''
  }

  run(): void {
    this.#timer = setInterval(() => this.add(), 10)
  }

  pause(): void {
    clearInterval(this.#timer)
  }

  add(count = 1): void {
    for (; count > 0; count--) {
      this.top++
      for (const res of this.live) this.#write(res, this.top)
    }
  }

  /** Ends the stream, for later requests too. */
  finish(): void {
    this.pause()
    this.#finished = true
    for (const res of this.live) res.end('event: close\ndata: bye\n\n')
  }

  cut(): void {
    for (const res of this.live) res.destroy()
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    const query = new URL(req.url ?? '', 'http://localhost').searchParams.get('lastEventId')
    const after = req.headers['last-event-id'] ?? query
    this.requests.push(after === null ? null : String(after))
    stream(res)
    for (let n = after === null ? this.top + 1 : Number(after) + 1; n <= this.top; n++) this.#write(res, n)
    if (this.#finished) {
      res.end('event: close\ndata: bye\n\n')
      return
    }
    this.live.add(res)
    this.most = Math.max(this.most, this.live.size)
    res.on('close', () => this.live.delete(res))
  }

  #write(res: ServerResponse, n: number): void {
    res.write(`event: ${this.nameOf(n)}\nid: ${n}\ndata: ${n},\n\n`)
  }
}

type Kind = 'shared' | 'shared-fetch'
const RETRY = { initialDelay: 50, maxDelay: 500, maxAttempts: 1_000 }

/** Opens tabs that listen; the first one leads. */
async function open(
  context: BrowserContext,
  site: Site,
  count: number,
  kind: Kind = 'shared',
  names: string[] = ['message'],
): Promise<Page[]> {
  const pages: Page[] = []
  for (let n = 0; n < count; n++) {
    const page = await context.newPage()
    await listen(page, site, '/numbers', { kind, retry: RETRY, names: [...names, 'close'] })
    // A hung leader gets seconds to answer before its lock is stolen.
    await poll(() => page.evaluate(() => window.harness.stream.status.value)).toBe('open')
    pages.push(page)
  }
  return pages
}

const newest = async (page: Page): Promise<number> => Number((await events(page)).at(-1)?.split(':')[1] ?? 0)

/** Waits until a tab has received numbers that have not been sent yet. */
async function untilNews(numbers: Numbers, pages: Page[], count = 10): Promise<void> {
  const wanted = numbers.top + count
  for (const page of pages) await poll(() => newest(page)).toBeGreaterThan(wanted)
}

/** Expects all numbers with these names, from the first that the tab received to the last of all, each once, and then the end. */
async function expectExact(numbers: Numbers, pages: Page[], names: string[] = ['message']): Promise<void> {
  for (const page of pages) {
    await poll(() => page.evaluate(() => window.harness.stream.status.value)).toBe('closed')
    expect(await reason(page)).toBe('finished')
    const got = await events(page)
    const first = Number(got[0]?.split(':')[1])
    const all = Array.from({ length: numbers.top - first + 1 }, (_, n) => first + n)
    const expected = all.filter((n) => names.includes(numbers.nameOf(n)))
    expect(got).toEqual([...expected.map((n) => `${numbers.nameOf(n)}:${n}:${n},`), `close:${numbers.top}:bye`])
    const messages = expected.filter((n) => numbers.nameOf(n) === 'message')
    expect(await content(page)).toBe(messages.map((n) => `${n},`).join(''))
  }
}

/** Expects that the first connection started the stream, and all others resumed it. */
function expectResumed({ requests }: Numbers): void {
  const [first, ...resumed] = requests
  expect(first).toBeNull()
  expect(resumed.length).toBeGreaterThan(0)
  const ids = resumed.map(Number)
  for (const id of ids) expect(id).toBeGreaterThan(0)
  expect(ids).toEqual(ids.toSorted((a, b) => a - b))
}

/** Stops a tab's scripts without any event. Returns a function that lets them continue. */
async function hang(page: Page): Promise<() => Promise<void>> {
  const session = await page.context().newCDPSession(page)
  await session.send('Debugger.enable')
  await session.send('Debugger.pause')
  return async () => {
    // It pauses only once a script runs.
    await session.send('Debugger.resume').catch(() => undefined)
    await session.detach()
  }
}

/** Freezes a tab as a browser does: after an event, nothing runs in it. */
async function freeze(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => document.dispatchEvent(new Event('freeze')))
  const thaw = await hang(page)
  return async () => {
    await thaw()
    await page.evaluate(() => document.dispatchEvent(new Event('resume')))
  }
}

async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash')
  const session = await page.context().newCDPSession(page)
  session.send('Page.crash').catch(() => undefined)
  await crashed
}

test('twelve tabs have one connection, and each gets everything', async ({ context, site }) => {
  const numbers = new Numbers(site)
  numbers.run()
  const pages = await open(context, site, 12)
  await untilNews(numbers, pages, 50)
  expect(numbers.live.size).toBe(1)
  numbers.finish()
  await expectExact(numbers, pages)
  for (const page of pages) expect(await statuses(page)).toEqual(['connecting', 'open', 'closed finished'])
  await sleep(500)
  expect(numbers.requests).toEqual([null])
})

const LEAVES: [string, (page: Page, site: Site) => Promise<unknown>][] = [
  ['is closed', (page) => page.close()],
  ['crashes', crash],
  ['goes to another page', (page) => page.goto('about:blank')],
  ['is loaded again', (page) => page.reload()],
  ['stops', (page) => page.evaluate(() => window.harness.stream.stop())],
  ['goes to another URL', (page) => page.evaluate(() => (window.harness.url.value = null))],
  ['is frozen', freeze],
  ['hangs', hang],
]
for (const kind of ['shared', 'shared-fetch'] as const) {
  for (const [how, leave] of LEAVES) {
    test(`${kind}: the leading tab ${how}, and another takes over, with nothing lost or doubled`, async ({
      context,
      site,
    }) => {
      const numbers = new Numbers(site)
      numbers.run()
      const [leader, ...others] = await open(context, site, 4, kind)
      if (!leader) throw new Error('There is no tab.')
      await untilNews(numbers, others)
      const start = Date.now()
      await leave(leader, site)
      await untilNews(numbers, others)
      console.log(`${kind}: the leading tab ${how}: ${numbers.requests.length} connections, ${Date.now() - start} ms`)
      numbers.finish()
      await expectExact(numbers, others)
      for (const page of others) expect(await statuses(page)).toEqual(['connecting', 'open', 'closed finished'])
      expectResumed(numbers)
    })
  }

  for (const [how, sleepsBy] of [
    ['is frozen', freeze],
    ['hangs', hang],
  ] as const) {
    test(`${kind}: a leading tab that ${how} and comes back has missed nothing, and leads no more`, async ({
      context,
      site,
    }) => {
      const numbers = new Numbers(site)
      numbers.run()
      const pages = await open(context, site, 4, kind)
      const [leader, ...others] = pages
      if (!leader) throw new Error('There is no tab.')
      await untilNews(numbers, pages)
      const wake = await sleepsBy(leader)
      await untilNews(numbers, others)
      await wake()
      await untilNews(numbers, pages, 50)
      await poll(() => numbers.live.size).toBe(1)
      numbers.finish()
      await expectExact(numbers, pages)
      for (const page of pages) expect(await statuses(page)).toEqual(['connecting', 'open', 'closed finished'])
      expectResumed(numbers)
    })
  }

  test(`${kind}: tabs that were away for longer than the others' logs reach ask the server`, async ({
    context,
    site,
  }) => {
    const numbers = new Numbers(site)
    numbers.run()
    const pages = await open(context, site, 4, kind)
    await untilNews(numbers, pages)
    const sleepers = pages.slice(0, 2)
    const others = pages.slice(2)
    const wake = await Promise.all(sleepers.map(freeze))
    await untilNews(numbers, others)
    const known = numbers.top
    numbers.add(3_000)
    await untilNews(numbers, others)
    await Promise.all(wake.map((one) => one()))
    await untilNews(numbers, pages, 50)
    await poll(() => numbers.live.size).toBe(1)
    for (const asked of numbers.requests.slice(-2)) expect(Number(asked)).toBeLessThan(known)
    numbers.finish()
    await expectExact(numbers, pages)
  })

  test(`${kind}: connections that are cut, and a server that restarts`, async ({ context, site }) => {
    const numbers = new Numbers(site)
    numbers.run()
    const pages = await open(context, site, 5, kind)
    await untilNews(numbers, pages)
    for (let round = 0; round < 3; round++) {
      numbers.cut()
      await untilNews(numbers, pages)
    }
    await site.stop()
    for (const page of pages) await status(page).toBe('reconnecting')
    await site.start()
    await untilNews(numbers, pages)
    expect(numbers.live.size).toBe(1)
    expect(numbers.most).toBe(1)
    numbers.finish()
    await expectExact(numbers, pages)
  })
}

test('tabs that leave one after another, the leading one first, pass the connection on', async ({ context, site }) => {
  const numbers = new Numbers(site)
  numbers.run()
  const pages = await open(context, site, 6)
  const last = pages.slice(-1)
  for (const page of pages.slice(0, -1)) {
    await untilNews(numbers, last)
    await page.close()
  }
  await untilNews(numbers, last)
  numbers.finish()
  await expectExact(numbers, last)
  expect(numbers.requests).toHaveLength(6)
})

test('stop in a follower stops that tab, and start resumes it, with the same connection', async ({ context, site }) => {
  const numbers = new Numbers(site)
  numbers.run()
  const pages = await open(context, site, 3)
  const [leader, stopped, other] = pages
  if (!leader || !stopped || !other) throw new Error('There are not enough tabs.')
  await untilNews(numbers, pages)
  await stopped.evaluate(() => window.harness.stream.stop())
  const before = await events(stopped)
  await untilNews(numbers, [leader, other])
  expect(await events(stopped)).toEqual(before)
  await stopped.evaluate(() => window.harness.stream.start())
  await untilNews(numbers, pages)
  numbers.finish()
  await expectExact(numbers, pages)
  expect(numbers.requests).toEqual([null])
})

test('a tab that joins late starts at the newest event, and knows where it is', async ({ context, site }) => {
  const numbers = new Numbers(site)
  const [first] = await open(context, site, 1)
  if (!first) throw new Error('There is no tab.')
  numbers.add(40)
  await poll(() => newest(first)).toBe(40)
  const [late] = await open(context, site, 1)
  if (!late) throw new Error('There is no tab.')
  await poll(() => late.evaluate(() => window.harness.stream.lastEventId.value)).toBe('40')
  numbers.add(2)
  await poll(() => events(late)).toEqual(['message:41:41,', 'message:42:42,'])
  await first.close()
  await poll(() => numbers.requests).toEqual([null, '42'])
  numbers.add(1)
  await poll(() => events(late)).toEqual(['message:41:41,', 'message:42:42,', 'message:43:43,'])
})

test('scopes share nothing, and neither do credentials', async ({ context, site }) => {
  const numbers = new Numbers(site)
  numbers.run()
  const pages: Page[] = []
  for (const scope of ['ann', 'bob']) {
    for (const withCredentials of [false, true]) {
      for (let n = 0; n < 2; n++) {
        const page = await context.newPage()
        await listen(page, site, '/numbers', { kind: 'shared', scope, withCredentials })
        await status(page).toBe('open')
        pages.push(page)
      }
    }
  }
  await untilNews(numbers, pages)
  expect(numbers.live.size).toBe(4)
  expect(numbers.requests).toHaveLength(4)
  numbers.finish()
  await expectExact(numbers, pages)
})

for (const missing of ['locks', 'BroadcastChannel']) {
  test(`without ${missing} each tab has its own connection`, async ({ context, site }) => {
    await context.addInitScript((name) => {
      Object.defineProperty(name === 'locks' ? Navigator.prototype : window, name, { value: undefined })
    }, missing)
    const numbers = new Numbers(site)
    numbers.run()
    const pages = await open(context, site, 3)
    await untilNews(numbers, pages)
    expect(numbers.live.size).toBe(3)
    numbers.finish()
    await expectExact(numbers, pages)
  })
}

/** Keeps the main thread busy, like a long task. */
const keepBusy = (page: Page, milliseconds: number): Promise<void> =>
  page.evaluate((duration) => {
    const end = performance.now() + duration
    while (performance.now() < end);
  }, milliseconds)

test('a leader with long tasks keeps its lock', async ({ context, site }) => {
  const numbers = new Numbers(site)
  numbers.run()
  const pages = await open(context, site, 4)
  const [leader] = pages
  if (!leader) throw new Error('There is no tab.')
  await untilNews(numbers, pages)
  for (const milliseconds of [700, 1_200, 1_500, 1_200]) {
    await keepBusy(leader, milliseconds)
    await sleep(50)
  }
  await untilNews(numbers, pages)
  numbers.finish()
  await expectExact(numbers, pages)
  expect(numbers.requests).toEqual([null])
})

for (const kind of ['shared', 'shared-fetch'] as const) {
  test(`${kind}: tabs with different names that freeze in turn miss nothing`, async ({ context, site }) => {
    const numbers = new Numbers(site, ['message', 'a', 'message', 'b', 'a'])
    numbers.run()
    const few = await open(context, site, 2, kind)
    const more = await open(context, site, 2, kind, ['message', 'a'])
    const pages = [...few, ...more]
    await untilNews(numbers, pages)
    for (const page of [...pages, ...pages]) {
      const others = pages.filter((other) => other !== page)
      const thaw = await freeze(page)
      await untilNews(numbers, others)
      await thaw()
      await untilNews(numbers, pages)
    }
    await poll(() => numbers.live.size).toBe(kind === 'shared' ? 2 : 1)
    numbers.finish()
    await expectExact(numbers, few)
    await expectExact(numbers, more, ['message', 'a'])
  })

  test(`${kind}: adding a name later loses nothing, not even earlier events`, async ({ context, site }) => {
    const numbers = new Numbers(site, ['message', 'a', 'message', 'b'])
    numbers.run()
    const pages = await open(context, site, 4, kind)
    const from = new Map<Page, number>()
    for (const page of pages.slice(0, 3)) {
      await untilNews(numbers, pages)
      await page.evaluate(() => {
        const { stream, events } = window.harness
        for (const name of ['a', 'b'])
          stream.on(name, ({ event, id, data }) => events.push([event, id, String(data)].join(':')))
      })
      from.set(page, numbers.top)
    }
    await untilNews(numbers, pages, 50)
    await poll(() => numbers.live.size).toBe(kind === 'shared' ? 2 : 1)
    numbers.finish()
    await expectExact(numbers, pages.slice(3))
    for (const [page, top] of from) {
      await status(page).toBe('closed')
      const got = (await events(page)).slice(0, -1).map((event) => event.split(':'))
      const first = Number(got[0]?.[1])
      const named = Number(got.find(([name]) => name !== 'message')?.[1])
      const all = Array.from({ length: numbers.top - first + 1 }, (_, n) => first + n)
      expect(got.map(([, n]) => Number(n))).toEqual(all.filter((n) => numbers.nameOf(n) === 'message' || n >= named))
      // From the next event on: at most two numbers later.
      expect(named).toBeLessThanOrEqual(top + 2)
    }
  })
}

test('two versions of the file, after a deploy, do not disturb each other', async ({ context, site, harness }) => {
  // The next version's messages have another meaning.
  const messages = harness.replaceAll(/"(report|hello)"/g, (_all, kind) => (kind === 'report' ? '"hello"' : '"report"'))
  const next = messages.replaceAll('"sharedTransport 3"', '"sharedTransport 4"')
  expect(messages).not.toBe(harness)
  expect(next).not.toBe(messages)

  site.route('/next', (_req, res) =>
    res.setHeader('Content-Type', 'text/html').end('<!doctype html><script type="module" src="/next.js"></script>'),
  )
  site.route('/next.js', (_req, res) => res.setHeader('Content-Type', 'text/javascript').end(next))
  const numbers = new Numbers(site)
  numbers.run()
  const now = await open(context, site, 2)
  const later: Page[] = []
  for (let n = 0; n < 2; n++) {
    const page = await context.newPage()
    await page.goto(`${site.url}/next`)
    await page.evaluate(() => window.listen('/numbers', ['message', 'close'], { kind: 'shared' }))
    later.push(page)
  }
  await untilNews(numbers, [...now, ...later])
  expect(numbers.live.size).toBeGreaterThan(1)
  for (const pages of [now, later]) await pages.shift()?.close()
  await untilNews(numbers, [...now, ...later])
  numbers.finish()
  await expectExact(numbers, [...now, ...later])
})

/** Opens tabs that wait for one response, which the server sends once all of them wait. */
async function waiting(
  context: BrowserContext,
  site: Site,
  answer: (res: ServerResponse) => void,
): Promise<[Page[], () => void]> {
  const held: ServerResponse[] = []
  site.route('/sse', (_req, res) => {
    if (site.to('/sse').length === 1) held.push(res)
    else answer(res)
  })
  const pages: Page[] = []
  for (let n = 0; n < 6; n++) {
    const page = await context.newPage()
    await listen(page, site, '/sse', { kind: 'shared-fetch', retry: { initialDelay: 100, maxAttempts: 2 } })
    pages.push(page)
  }
  await expect.poll(() => held).toHaveLength(1)
  await poll(() => pages[0]?.evaluate(async () => (await navigator.locks.query()).pending?.length)).toBe(5)
  return [pages, () => held.forEach(answer)]
}

const ENDS: [string, (res: ServerResponse) => void, string[]][] = [
  ['204', (res) => res.writeHead(204).end(), ['connecting', 'closed no-content']],
  ['404', (res) => res.writeHead(404).end(), ['connecting', 'failed http']],
  [
    'the done event',
    (res) => stream(res, 'event: close\ndata: bye\n\n').end(),
    ['connecting', 'open', 'closed finished'],
  ],
]
for (const [name, answer, expected] of ENDS) {
  test(`${name} is the end for all tabs, and none asks again`, async ({ context, site }) => {
    const [pages, go] = await waiting(context, site, answer)
    go()
    for (const page of pages) await poll(() => statuses(page)).toEqual(expected)
    await sleep(1_000)
    expect(site.to('/sse')).toHaveLength(1)
    const locks = await pages[0]?.evaluate(() => navigator.locks.query())
    expect(locks).toEqual({ held: [], pending: [] })
  })
}

test('a broken server is not asked by one tab after another', async ({ context, site }) => {
  const times: number[] = []
  const [pages, go] = await waiting(context, site, (res) => {
    times.push(Date.now())
    res.writeHead(503, { 'Retry-After': '1' }).end()
  })
  go()
  for (const page of pages) await poll(() => page.evaluate(() => window.harness.stream.status.value)).toBe('failed')
  for (const page of pages)
    expect(new Set(await statuses(page))).toEqual(new Set(['connecting', 'reconnecting http', 'failed http']))
  console.log(`six tabs, three attempts each: ${times.length} requests`)
  // The first response sent all tabs away; none of them retried within a second.
  expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(900)
})

test('a page restored from the history has missed nothing', async ({ site }) => {
  const browser = await chromium.launch({
    executablePath: findChromium() ?? '',
    args: ['--no-sandbox', '--disable-gpu'],
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  })
  const context = await browser.newContext()
  const numbers = new Numbers(site)
  numbers.run()
  const pages = await open(context, site, 3)
  const [leader, ...others] = pages
  if (!leader) throw new Error('There is no tab.')
  await untilNews(numbers, pages)
  await leader.evaluate(() =>
    addEventListener('pageshow', ({ persisted }) => (document.title = persisted ? 'restored' : 'new')),
  )
  await leader.goto(`${site.url}/healthz`)
  await untilNews(numbers, others)
  await leader.evaluate(() => void setTimeout(() => history.back()))
  await expect(leader).toHaveTitle('restored')
  await untilNews(numbers, pages)
  numbers.finish()
  await expectExact(numbers, pages)
  expect(numbers.requests).toHaveLength(2)
  await browser.close()
})

/** Random numbers, reproducible by a seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

for (const kind of ['shared', 'shared-fetch'] as const) {
  test(`${kind}: a storm`, async ({ context, site }) => {
    test.setTimeout(60_000 + STORM * 3_000)
    console.log(`${kind}: a storm of ${STORM}, seed ${SEED}`)
    const random = randomOf(SEED)
    const numbers = new Numbers(site)
    numbers.run()
    const done: string[] = []
    const awake = await open(context, site, 4, kind)
    const asleep: { page: Page; wake: () => Promise<void> }[] = []
    const any = (): number => random(awake.length)
    const take = (): Page[] => awake.splice(any(), 1)
    const sleepBy = async (how: typeof hang): Promise<void> => {
      // A hung tab keeps its connection, and a browser has six.
      if (asleep.length < 3) for (const page of take()) asleep.push({ page, wake: await how(page) })
    }

    const acts: Record<string, () => unknown> = {
      open: async () => awake.push(...(await open(context, site, 1, kind))),
      close: () => take()[0]?.close(),
      crash: () => Promise.all(take().map(crash)),
      freeze: () => sleepBy(freeze),
      hang: () => sleepBy(hang),
      wake: async () => {
        for (const { page, wake } of asleep.splice(random(asleep.length + 1), 1)) {
          await wake()
          awake.push(page)
        }
      },
      reload: () =>
        Promise.all(awake.slice(any()).map((page) => listen(page, site, '/numbers', { kind, retry: RETRY }))),
      stopAndStart: async () => {
        const page = awake[any()]
        await page?.evaluate(() => window.harness.stream.stop())
        await sleep(random(200))
        await page?.evaluate(() => window.harness.stream.start())
      },
      cut: () => numbers.cut(),
      restart: async () => {
        await site.stop()
        await sleep(random(300))
        await site.start()
      },
      burst: () => numbers.add(random(1_500)),
    }
    for (let n = 0; n < STORM; n++) {
      const drawn = Object.keys(acts)[random(Object.keys(acts).length)] ?? ''
      const name = awake.length < 3 ? 'open' : drawn
      done.push(name)
      await acts[name]?.()
      await sleep(random(400))
    }
    for (const { page, wake } of asleep) {
      await wake()
      awake.push(page)
    }
    console.log(`${kind}: ${awake.length} tabs, ${numbers.top} numbers, ${numbers.requests.length} connections:`)
    console.log(`  ${done.join(' ')}`)
    await untilNews(numbers, awake)
    await poll(() => numbers.live.size).toBe(1)
    numbers.finish()
    await expectExact(numbers, awake)
  })
}
