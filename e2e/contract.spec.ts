/** One contract for every transport: the same streams, from servers that behave and that do not, in a real browser. */
import type { ServerResponse } from 'node:http'
import type { Page } from '@playwright/test'
import { expect, stream, test, type Site } from './fixture'
import { content, events, listen as listenBy, reason, status, statuses } from './listen'

/** Blocks as they are on the wire, and what comes of them: `event:id:data`. The first line of each is what it shows. */
const WIRE: [string, string, string[]][] = [
  ['LF, CRLF and CR end lines', 'data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\n', ['::a', '::b', '::c', '::d']],
  [
    'one byte order mark is stripped, at the start',
    '\ufeffdata: a\n\n\ufeffdata: b\n\ndata: \ufeffc\n\n',
    ['::a', '::\ufeffc'],
  ],
  ['of two byte order marks one is left', '\ufeff\ufeffdata: a\n\ndata: b\n\n', ['::b']],
  [
    'one space after the colon is stripped',
    'data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\n',
    ['::a', '::b', ':: c', '::\td'],
  ],
  ['data lines are joined', 'data: a\ndata:\ndata: b\n\n', ['::a\n\nb']],
  ['a leading empty data line counts', 'data:\ndata: x\n\n', ['::\nx']],
  ['a field without a colon is an empty field', 'data\n\ndata\ndata\n\n', ['::', '::\n']],
  ['an empty block is no event', 'event: tick\n\n\n\n: comment\n\ndata: a\n\n', ['::a']],
  ['an event has its name for one block', 'event: tick\ndata: a\n\ndata: b\n\n', ['tick::a', '::b']],
  ['an empty name is message', 'event:\ndata: a\n\n', ['::a']],
  ['field names are literal', 'Data: a\ndata : b\n data: c\ndata: d\n\n', ['::d']],
  ['an id stays until another', 'id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\n', [':1:a', ':1:b', ':2:c']],
  ['an empty id resets it', 'id: 1\ndata: a\n\nid\ndata: b\n\ndata: c\n\n', [':1:a', '::b', '::c']],
  ['an id with NUL is ignored', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [':1:a', ':1:b']],
  ['an id needs no data to count', 'id: 7\n\ndata: a\n\n', [':7:a']],
  ['an id may be anything', 'id: é 连\ndata: a\n\n', [':é 连:a']],
  ['a retry that is not all digits is ignored', 'retry: 1000x\nretry: -1\ndata: a\n\n', ['::a']],
  ['what has no empty line behind it is dropped', 'data: a\n\nid: 9\ndata: b\n', ['::a']],
  ['UTF-8, and what is none is replaced', 'data: é连😀\n\n', ['::é连😀']],
]

for (const kind of ['native', 'fetch', 'shared'] as const) {
  test.describe(kind, () => {
    const listen = (page: Page, site: Site, url: string, options: Parameters<typeof listenBy>[3] = {}): Promise<void> =>
      listenBy(page, site, url, { kind, ...options })
    const heard = async (page: Page): Promise<string[]> =>
      (await events(page)).map((event) => event.replace(/^message:/, ':'))

    for (const [name, blocks, expected] of WIRE) {
      test(`wire: ${name}`, async ({ page, site }) => {
        site.route('/sse', (req, res) => {
          // The blocks once, and whole; a reconnect, where the end of the response asks for one, gets the end.
          if (site.to('/sse').length > 1) stream(res, 'event: close\ndata:\n\n')
          else res.writeHead(200, { 'Content-Type': 'text/event-stream' }).end(Buffer.from(blocks))
          req.resume()
        })
        await listen(page, site, '/sse', { names: ['message', 'tick'], retry: { initialDelay: 10 } })
        // The browser's own delay is seconds long; what has been heard by then does not change any more.
        await expect.poll(() => heard(page)).toEqual(expected)
      })
    }

    test('wire: bytes may arrive one by one, inside of a character too', async ({ page, site }) => {
      site.route(
        '/sse',
        (_req, res) => void trickle(stream(res), '\r\ndata: é连😀\r\nid: 1\r\n\r\nevent: close\ndata: x\r\r'),
      )
      await listen(page, site, '/sse')
      await status(page).toBe('closed')
      expect(await events(page)).toEqual(['message:1:é连😀', 'close:1:x'])
    })

    test('wire: an event that a lone CR ends is dispatched at once', async ({ page, site }) => {
      site.route('/sse', (_req, res) => stream(res, 'data: a\r\r'))
      await listen(page, site, '/sse')
      await expect.poll(() => events(page)).toEqual(['message::a'])
    })

    test('a stream is open, brings its events, and is closed by its done event, for good', async ({ page, site }) => {
      site.route('/sse', (_req, res) =>
        stream(res, 'id: 1\ndata: a\n\ndata: b\n\nevent: close\nid: 2\ndata: bye\n\n').end(),
      )
      await listen(page, site, '/sse')
      await status(page).toBe('closed')
      expect(await statuses(page)).toEqual(['connecting', 'open', 'closed finished'])
      expect(await events(page)).toEqual(['message:1:a', 'message:1:b', 'close:2:bye'])
      expect(await content(page)).toBe('ab')
      await page.waitForTimeout(300)
      expect(site.to('/sse')).toHaveLength(1)
    })

    for (const how of ['destroyed', 'reset', 'ended'] as const) {
      test(`a connection that is ${how} again and again is resumed with nothing lost or doubled`, async ({
        page,
        site,
      }) => {
        numbers(site, 20, how)
        await listen(page, site, '/numbers', { retry: { initialDelay: 10, maxAttempts: 20 } })
        await status(page).toBe('closed')
        expect(await content(page)).toBe(Array.from({ length: 20 }, (_, n) => `${n + 1},`).join(''))
        const seen = await statuses(page)
        expect(new Set(seen)).toEqual(new Set(['connecting', 'open', 'reconnecting network', 'closed finished']))
        // A reset may take what was not read yet with it: then it is sent again.
        const ids = site.to('/numbers').map(({ headers }) => Number(headers['last-event-id'] ?? 0))
        expect(ids.length).toBeGreaterThanOrEqual(7)
        expect(ids).toEqual([...ids].sort((a, b) => a - b))
      })
    }

    test('an event that is cut in the middle does not count, and neither does its id', async ({ page, site }) => {
      const ids: unknown[] = []
      site.route('/sse', (req, res) => {
        const id = req.headers['last-event-id']
        ids.push(id)
        // What was not read before the cut may be lost with it: it is sent until it has come.
        const rest = id === '1' ? '' : 'id: 1\ndata: a\n\n'
        if (ids.length > 1 && id === '1') stream(res, 'id: 2\ndata: b\n\nevent: close\ndata:\n\n')
        else stream(res, `${rest}id: 2\ndata: b\n`).socket?.end()
      })
      await listen(page, site, '/sse', { retry: { initialDelay: 10, maxAttempts: 100 } })
      await status(page).toBe('closed')
      expect(await content(page)).toBe('ab')
      expect(new Set(ids)).toEqual(new Set([undefined, '1']))
    })

    test('an id comes back byte for byte', async ({ page, site }) => {
      site.route('/sse', (_req, res) => {
        if (site.to('/sse').length > 1) stream(res, 'event: close\ndata:\n\n')
        else stream(res, 'id: é连😀 &=\ndata: a\n\n').end()
      })
      await listen(page, site, '/sse', { retry: { initialDelay: 10 } })
      await status(page).toBe('closed')
      const bytes = Buffer.from(String(site.to('/sse')[1]?.headers['last-event-id']), 'latin1')
      expect(bytes.toString()).toBe('é连😀 &=')
    })

    test('a server that restarts is reconnected to, and the attempts are counted', async ({ page, site }) => {
      site.route('/sse', (_req, res) => stream(res, `id: ${site.to('/sse').length}\ndata: hello\n\n`))
      await listen(page, site, '/sse', { retry: { maxDelay: 100, maxAttempts: 1_000 } })
      await status(page).toBe('open')
      await expect.poll(() => events(page)).toHaveLength(1)
      await site.stop()
      await expect.poll(() => page.evaluate(() => window.harness.stream.attempt.value)).toBeGreaterThan(1)
      await status(page).toBe('reconnecting')
      await site.start()
      await status(page).toBe('open')
      expect(await page.evaluate(() => window.harness.stream.error.value)).toBeNull()
      expect(site.to('/sse')[1]?.headers['last-event-id']).toBe('1')
    })

    test('a redirect is followed', async ({ page, site }) => {
      site.route('/old', (_req, res) => res.writeHead(307, { Location: '/sse' }).end())
      site.route('/sse', (_req, res) => stream(res, 'data: a\n\n'))
      await listen(page, site, '/old')
      await expect.poll(() => content(page)).toBe('a')
    })

    test('the content type may be written as it likes', async ({ page, site }) => {
      site.route('/sse', (_req, res) =>
        res.writeHead(200, { 'Content-Type': 'Text/Event-Stream;Charset=UTF-8' }).write('data: é\n\n'),
      )
      await listen(page, site, '/sse')
      await expect.poll(() => content(page)).toBe('é')
    })

    test('a server that takes its time to answer is connecting until it does', async ({ page, site }) => {
      let answer = (): void => undefined
      site.route('/sse', (_req, res) => {
        answer = () => stream(res, 'data: a\n\n')
      })
      await listen(page, site, '/sse')
      await expect.poll(() => site.to('/sse')).toHaveLength(1)
      expect(await statuses(page)).toEqual(['connecting'])
      answer()
      await status(page).toBe('open')
    })

    test('stop while connecting ends the request', async ({ page, site }) => {
      let closed = false
      site.route('/sse', (_req, res) => res.on('close', () => (closed = true)))
      await listen(page, site, '/sse')
      await expect.poll(() => site.to('/sse')).toHaveLength(1)
      await page.evaluate(() => window.harness.stream.stop())
      await expect.poll(() => closed).toBe(true)
      expect(await reason(page)).toBe('stopped')
    })

    test('stop ends the connection, and start, however often, resumes with one', async ({ page, site }) => {
      let open = 0
      site.route('/sse', (_req, res) => {
        open++
        stream(res, 'id: 7\ndata: a\n\n').on('close', () => open--)
      })
      await listen(page, site, '/sse')
      await expect.poll(() => events(page)).toHaveLength(1)
      await page.evaluate(() => window.harness.stream.stop())
      await expect.poll(() => open).toBe(0)
      for (let round = 0; round < 5; round++) {
        await page.evaluate(() => {
          window.harness.stream.start()
          window.harness.stream.stop()
          window.harness.stream.start()
        })
      }
      await status(page).toBe('open')
      // Chromium holds a connection for 5 s more if its request was cancelled just as the answer came: it hopes to read to the end,
      // and to use the connection again. A bare EventSource, and fetch, do the same.
      await expect.poll(() => open, { timeout: 10_000 }).toBe(1)
      const last = site.to('/sse').at(-1)
      expect(last?.headers['last-event-id'] ?? new URL(last?.url ?? '', site.url).searchParams.get('lastEventId')).toBe(
        '7',
      )
    })

    test('a changed URL and the end of the scope leave no connection behind', async ({ page, site }) => {
      const open: string[] = []
      for (const name of ['/a', '/b']) {
        site.route(name, (_req, res) => {
          open.push(name)
          stream(res).on('close', () => open.splice(open.indexOf(name), 1))
        })
      }
      await listen(page, site, '/a')
      await expect.poll(() => open).toEqual(['/a'])
      await page.evaluate(() => {
        window.harness.url.value = '/b'
      })
      await expect.poll(() => open).toEqual(['/b'])
      await page.evaluate(() => window.harness.scope.stop())
      await expect.poll(() => open).toEqual([])
    })

    test('a burst of 5,000 events in one packet arrives whole, and is rendered in far fewer steps', async ({
      page,
      site,
    }) => {
      const data = Array.from({ length: 5_000 }, (_, n) => `${n},`)
      const burst = data.map((text) => `data: ${text}\n\n`).join('')
      site.route('/sse', (_req, res) => stream(res, `${burst}event: close\ndata: bye\n\n`))
      await listen(page, site, '/sse')
      await status(page).toBe('closed')
      expect(await content(page)).toBe(data.join(''))
      expect(await events(page)).toHaveLength(5_001)
      expect(await page.evaluate(() => window.harness.commits)).toBeLessThan(1_000)
    })

    test('an event of two megabytes arrives whole', async ({ page, site }) => {
      const text = 'é连😀x'.repeat(200_000)
      site.route('/sse', (_req, res) => stream(res, `data: ${text}\n\nevent: close\ndata:\n\n`))
      await listen(page, site, '/sse')
      await status(page).toBe('closed')
      expect((await content(page)) === text).toBe(true)
    })

    test('a connection that stalls is noticed, and replaced, and resumed', async ({ page, site }) => {
      site.route('/sse', (_req, res) => {
        if (site.to('/sse').length > 1) stream(res, 'id: 2\ndata: b\n\nevent: close\ndata:\n\n')
        else stream(res, 'id: 1\ndata: a\n\n')
      })
      await listen(page, site, '/sse', { idleTimeout: 1_000, retry: { initialDelay: 10 } })
      await status(page).toBe('closed')
      expect(await statuses(page)).toContain('reconnecting timeout')
      expect(await content(page)).toBe('ab')
    })
  })
}

/** Numbers from 1, one every 10 ms; after every third the connection is lost, and resumes after the id that the client sends. */
function numbers(site: Site, total: number, how: 'destroyed' | 'reset' | 'ended'): void {
  site.route('/numbers', (req, res) => {
    let n = Number(req.headers['last-event-id'] ?? 0)
    let sent = 0
    stream(res)
    const timer = setInterval(() => {
      if (n === total) res.end('event: close\ndata: bye\n\n')
      else if (sent < 3) res.write(`id: ${++n}\ndata: ${n},\n\n`)
      else if (how === 'ended') res.end()
      else if (how === 'reset') res.socket?.resetAndDestroy()
      else res.destroy()
      sent++
    }, 10)
    res.on('close', () => clearInterval(timer))
  })
}

async function trickle(res: ServerResponse, text: string): Promise<void> {
  for (const byte of Buffer.from(text)) {
    res.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
}
