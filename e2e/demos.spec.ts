/** The other pages as readers use them, and their streams with a plain EventSource. */
import type { Page } from '@playwright/test'
import { expect, test } from './fixture'

declare global {
  interface Window {
    /** The status labels of all subscribers, each time one changed. */
    said: string[]
  }
}

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const status = (page: Page) => expect(page.getByRole('status'))
const output = (page: Page) => page.getByRole('textbox', { name: 'Output' })
const lines = async (page: Page): Promise<string[]> =>
  (await output(page).inputValue()).split('\n').filter((line) => line && !/^— (new run|resumed)/.test(line))
/** The rows of the emitter's timeline for one end, in order. */
const timeLine = async (page: Page, end: 'In the page' | 'On the server'): Promise<string[]> => {
  const cells = page
    .getByRole('region', { name: 'Both ends' })
    .locator(`td:nth-child(${end === 'In the page' ? 2 : 3})`)
  const texts = await (end === 'In the page' ? cells : cells.locator('code')).allTextContents()
  return texts.map((text) => text.trim().replace(/ ?\[[-:\d ]{19}\]/, '')).filter(Boolean)
}

/** A plain EventSource in the page. Resolves to everything it received, once it has given up for good. */
function plain(page: Page, url: string, names: string[]): Promise<string[]> {
  return page.evaluate(
    ([address, events]) =>
      new Promise<string[]>((resolve) => {
        const heard: string[] = []
        const source = new EventSource(address)
        for (const name of events)
          source.addEventListener(name, (event) => heard.push(`${name}: ${String(event.data)}`))
        source.onerror = () => {
          if (source.readyState === EventSource.CLOSED) resolve(heard)
        }
      }),
    [url, names] as const,
  )
}

test.describe('the emitter', () => {
  const ENDINGS = [
    { ending: 'complete', messages: 10, event: '', says: [], log: ['opened', 'onCompletion'] },
    {
      ending: 'an error after the third message',
      messages: 3,
      event: 'stream-error',
      says: ['The server failed'],
      log: ['opened', 'onError failed', 'onCompletion'],
    },
    {
      ending: 'silence after the third message, until the timeout',
      messages: 3,
      event: 'stream-timeout',
      says: ['Timed out after 3 s'],
      log: ['opened', 'onTimeout', 'onCompletion'],
    },
  ]
  for (const { ending, messages, event, says, log } of ENDINGS) {
    test(`with the ending "${ending}" calls back once, in order, and tells the page`, async ({ page, site }) => {
      await page.goto(`${site.url}/emitter`)
      await page.getByLabel(ending, { exact: true }).check()
      await press(page, 'Start')
      await status(page).toHaveText('Finished by the server')
      const all = await lines(page)
      const data = Array.from({ length: messages }, (_, n) => `Data #${n}`)
      expect(all.slice(0, messages).map((line) => line.replace(/^\[[-\d]{10} [:\d]{8}\] /, ''))).toEqual(data)
      expect(all.slice(messages)).toEqual(says)
      await expect.poll(() => timeLine(page, 'On the server')).toEqual(log)
      expect(await timeLine(page, 'In the page')).toEqual([
        'Connecting …',
        'Receiving',
        ...data.map((one) => `message ${one}`),
        ...says.map((one) => `${event} ${one}`),
        'Finished by the server',
      ])
    })
  }

  test('calls back when the reader leaves', async ({ page, site }) => {
    await page.goto(`${site.url}/emitter`)
    await page.getByLabel('silence', { exact: false }).check()
    await press(page, 'Start')
    await expect.poll(() => lines(page)).toHaveLength(3)
    await press(page, 'Stop')
    await expect.poll(() => timeLine(page, 'On the server')).toEqual(['opened', 'onError disconnected', 'onCompletion'])
    expect((await timeLine(page, 'In the page')).at(-1)).toBe('Stopped by you')
  })

  test('has one timeline for both ends, in order, even over several runs, and can clear it', async ({ page, site }) => {
    await page.goto(`${site.url}/emitter`)
    const rows = page.getByRole('region', { name: 'Both ends' }).locator('tbody tr')
    for (const run of [1, 2]) {
      await press(page, 'Start')
      await expect.poll(() => timeLine(page, 'On the server')).toHaveLength(2 * run)
    }
    const times = await rows.locator('td:first-child').allTextContents()
    expect(times).toHaveLength(2 * (13 + 2))
    expect(times).toEqual([...times].sort())
    for (const time of times) expect(time).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/)
    await press(page, 'Clear')
    await expect(rows).toHaveCount(1)
    await expect(rows).toContainText('No events yet')
  })

  test('ends a plain EventSource too, without telling it twice', async ({ page, site }) => {
    await page.goto(`${site.url}/harness`)
    const heard = await plain(page, '/springSSE?fail=2', ['message', 'stream-error', 'close'])
    expect(heard.map((line) => line.replace(/\[.*\]/, '[]'))).toEqual([
      'message: [] Data #0',
      'message: [] Data #1',
      'stream-error: The server failed',
      'close: Connection closed by server',
    ])
  })
})

test.describe('by hand', () => {
  const column = (page: Page, name: string) => {
    const region = page.getByRole('region', { name, exact: true })
    return {
      raw: expect(region.getByRole('textbox', { name: 'Raw response text' })),
      understood: expect(region.getByRole('textbox', { name: 'What EventSource makes of it' })),
      status: expect(region.getByRole('status')),
    }
  }

  test('lines are in the raw text, but are not events; framed text is both', async ({ page, site }) => {
    await page.goto(`${site.url}/by-hand`)
    const bare = column(page, 'Plain lines')
    const framed = column(page, 'Framed as events')
    await press(page, 'Start')
    await bare.raw.toHaveValue('订阅成功\n')
    await framed.raw.toHaveValue(/data: 连接成功\n\n$/)
    for (const { status: pill } of [bare, framed]) await pill.toHaveText('Receiving')
    expect(site.streams.size).toBe(4)

    await page.getByRole('textbox', { name: 'Message' }).fill('hello')
    await press(page, 'Push')
    await bare.raw.toHaveValue('订阅成功\nhello\n')
    await framed.raw.toHaveValue(/\n\nid: \S+\ndata: hello\n\n$/)
    await framed.understood.toHaveValue('连接成功\nhello\n')
    await bare.understood.toHaveValue('')

    await press(page, 'Push it framed')
    await bare.understood.toHaveValue('framed\n')
    await bare.raw.toHaveValue('订阅成功\nhello\ndata: framed\n\n\n')

    await press(page, 'Close channel')
    await bare.raw.toHaveValue(/\ndata: framed\n\n\nover\n/)
    await framed.raw.toHaveValue(/event: close\nid: \S+\ndata: Connection closed by server\n\n$/)
    await framed.status.toHaveText('Finished by the server')
    await framed.understood.toHaveValue('连接成功\nhello\n')
    await bare.understood.toHaveValue('framed\n')
  })

  test('a stream that gets no close event reconnects', async ({ page, site }) => {
    await page.goto(`${site.url}/by-hand`)
    const bare = column(page, 'Plain lines')
    await press(page, 'Start')
    await bare.raw.toHaveValue('订阅成功\n')
    await bare.status.toHaveText('Receiving')
    await press(page, 'Close channel')
    await expect.poll(() => site.to('/subscribe').length, { timeout: 20_000 }).toBe(4)
    await bare.raw.toHaveValue('订阅成功\nover\n订阅成功\n')
    await bare.status.toHaveText('Receiving')
    await column(page, 'Framed as events').status.toHaveText('Finished by the server')
    expect(site.to('/sse/subscribe')).toHaveLength(2)
  })

  test('stop ends all four streams, clear empties both columns, and a push then finds nobody', async ({
    page,
    site,
  }) => {
    await page.goto(`${site.url}/by-hand`)
    const bare = column(page, 'Plain lines')
    await press(page, 'Start')
    await bare.raw.toHaveValue('订阅成功\n')
    await press(page, 'Stop')
    await bare.status.toHaveText('Stopped by you')
    await expect.poll(() => site.streams.size, { timeout: 20_000 }).toBe(0)
    await press(page, 'Clear')
    for (const { raw, understood } of [bare, column(page, 'Framed as events')]) {
      await raw.toHaveValue('')
      await understood.toHaveValue('')
    }
    await press(page, 'Push')
    await expect(page.getByRole('alert')).toHaveText('Nobody is subscribed: press “Start” first.')
  })
})

test.describe('a channel', () => {
  const subscriber = (page: Page, number: number) => {
    const region = page.getByRole('region', { name: `Subscriber ${number}`, exact: true })
    return {
      region,
      status: expect(region.getByRole('status')),
      press: (name: string) => region.getByRole('button', { name, exact: true }).click(),
      lines: async () =>
        (await region.getByRole('textbox', { name: 'Output' }).inputValue())
          .split('\n')
          .filter((line) => line && !/^— (new run|resumed)/.test(line)),
    }
  }
  const id = (page: Page) => page.getByRole('textbox', { name: 'ID' })
  const push = async (page: Page, content: string): Promise<void> => {
    await page.getByRole('textbox', { name: 'Message' }).fill(content)
    await press(page, 'Push')
    await expect(page.getByRole('textbox', { name: 'Message' })).toHaveValue('')
  }

  test('keeps messages pushed before anyone subscribed, reaches all subscribers, and ends for all', async ({
    page,
    site,
    context,
  }) => {
    await page.goto(`${site.url}/channel`)
    await push(page, 'early')
    const opened = context.waitForEvent('page')
    await page.getByRole('link', { name: 'Open this channel in another tab' }).click()
    const other = await opened
    expect(await id(other).inputValue()).toBe(await id(page).inputValue())
    const all = [page, other].flatMap((tab) => [subscriber(tab, 1), subscriber(tab, 2)])
    await press(page, 'Start all')
    await press(other, 'Start all')
    for (const one of all) await expect.poll(one.lines).toEqual(['连接成功', 'early'])
    await push(page, 'two\nlines 😀')
    for (const one of all) await expect.poll(one.lines).toEqual(['连接成功', 'early', 'two', 'lines 😀'])
    await press(page, 'Close channel')
    for (const one of all) await one.status.toHaveText('Finished by the server')
  })

  test('resumes where a reader stopped', async ({ page, site }) => {
    await page.goto(`${site.url}/channel`)
    const one = subscriber(page, 1)
    await one.press('Start')
    await expect.poll(one.lines).toHaveLength(1)
    await one.press('Stop')
    await one.status.toHaveText('Stopped by you')
    for (let n = 0; n < 3; n++) await site.hub.publish(await id(page).inputValue(), { data: `missed ${n}` })
    await one.press('Start')
    await expect.poll(one.lines).toEqual(['连接成功', '连接成功', 'missed 0', 'missed 1', 'missed 2'])
    await subscriber(page, 2).status.toHaveText('Not started')
  })

  test('replays all stored messages to late and restarted subscribers', async ({ page, site }) => {
    await page.goto(`${site.url}/channel`)
    await press(page, 'Start all')
    await expect.poll(subscriber(page, 2).lines).toHaveLength(1)
    await push(page, 'kept')
    await expect.poll(subscriber(page, 2).lines).toEqual(['连接成功', 'kept'])

    await press(page, 'Add a subscriber')
    const late = subscriber(page, 3)
    await late.press('Start')
    await expect.poll(late.lines).toEqual(['连接成功', 'kept'])
    await late.press('Restart')
    await late.region.getByText('Events received').click()
    await expect(late.region.getByRole('row')).toHaveCount(1 + 2)
    await expect.poll(late.lines).toEqual(['连接成功', 'kept'])
    await late.status.toHaveText('Receiving')

    await late.press('Remove')
    await expect(late.region).toHaveCount(0)
    await expect.poll(() => site.streams.size, { timeout: 20_000 }).toBe(2)
    await press(page, 'Clear all')
    for (const number of [1, 2]) expect(await subscriber(page, number).lines()).toEqual([])
    await press(page, 'Stop all')
    for (const number of [1, 2]) await subscriber(page, number).status.toHaveText('Stopped by you')
  })

  for (const [transport, connections] of [
    ['native', 'Connections cut: 3'],
    ['fetch', 'Connections cut: 3'],
    ['shared', 'Connections cut: 1'],
  ] as const) {
    test(`is resumed by each subscriber after a cut, and no number is missing: ${transport}`, async ({
      page,
      site,
    }) => {
      await page.goto(`${site.url}/channel?transport=${transport}`)
      await press(page, 'Add a subscriber')
      const all = [1, 2, 3].map((number) => subscriber(page, number))
      await press(page, 'Start all')
      for (const { status: pill } of all) await pill.toHaveText('Receiving')
      expect(site.streams.size).toBe(transport === 'shared' ? 1 : 3)
      const numbers = async (read: () => Promise<string[]>): Promise<number[]> =>
        (await read()).filter((line) => line !== '连接成功').map(Number)
      await press(page, 'Push 1, 2, 3 …')
      for (const one of all) await expect.poll(() => numbers(one.lines)).not.toHaveLength(0)

      // On a busy machine they may be back before the test looks.
      await page.evaluate(() => {
        window.said = []
        new MutationObserver(() => {
          window.said.push([...document.querySelectorAll('.pill')].map((pill) => pill.textContent).join('|'))
        }).observe(document.body, { subtree: true, childList: true, characterData: true })
      })
      await press(page, 'Cut connections')
      await expect(page.getByText(connections)).toBeVisible()
      for (const [n] of all.entries()) {
        const saidBy = (): Promise<string[]> =>
          page.evaluate((index) => window.said.map((pills) => pills.split('|')[index] ?? ''), n)
        await expect.poll(saidBy).toContainEqual(expect.stringMatching(/^\s*Reconnecting, attempt 1: connection lost/))
      }
      const whileCut = Math.max(...(await numbers(subscriber(page, 1).lines)))
      for (const { status: pill } of all) await pill.toHaveText('Receiving', { timeout: 20_000 })
      await press(page, 'Stop numbers')
      for (const one of all) {
        await expect
          .poll(async () => Math.max(...(await numbers(one.lines))), { timeout: 20_000 })
          .toBeGreaterThan(whileCut)
        const got = await numbers(one.lines)
        expect(got).toEqual(got.map((_number, n) => n + 1))
      }
    })
  }

  test('has at most four subscribers on one page, and says why; more if they share a connection', async ({
    page,
    site,
  }) => {
    await page.goto(`${site.url}/channel`)
    const add = page.getByRole('button', { name: 'Add a subscriber' })
    const all = page.getByRole('region', { name: /^Subscriber \d+$/ })
    for (let n = 0; n < 4; n++) await add.click({ force: true })
    await expect(add).toHaveAttribute('aria-disabled', 'true')
    await expect(all).toHaveCount(4)
    await expect(page.getByText('over HTTP/1.1 a browser opens six')).toBeVisible()

    const channel = await id(page).inputValue()
    await page.getByRole('radio', { name: 'shared' }).check()
    for (let n = 0; n < 4; n++) await add.click()
    await expect(all).toHaveCount(6)
    expect(await id(page).inputValue()).toBe(channel)
    await press(page, 'Start all')
    for (let number = 1; number <= 6; number++) await subscriber(page, number).status.toHaveText('Receiving')
    await push(page, 'to all')
    for (let number = 1; number <= 6; number++)
      await expect.poll(async () => (await subscriber(page, number).lines()).at(-1)).toBe('to all')
    expect(site.streams.size).toBe(1)
    await subscriber(page, 1).press('Remove')
    await push(page, 'still')
    for (let number = 2; number <= 6; number++)
      await expect.poll(async () => (await subscriber(page, number).lines()).at(-1)).toBe('still')
  })

  test('is the one in the address, follows its id, and explains a bad id', async ({ page, site }) => {
    await site.hub.publish('first', { data: 'of the first' })
    await site.hub.publish('second', { data: 'of the second' })
    await page.goto(`${site.url}/channel?id=first`)
    await press(page, 'Start all')
    await expect.poll(subscriber(page, 1).lines).toEqual(['连接成功', 'of the first'])
    await id(page).fill('second')
    await id(page).blur()
    await expect.poll(subscriber(page, 1).lines).toEqual(['连接成功', 'of the second'])
    expect(new URL(page.url()).searchParams.get('id')).toBe('second')

    await id(page).fill('no spaces')
    await id(page).blur()
    await expect(id(page)).toHaveAttribute('aria-invalid', 'true')
    await subscriber(page, 1).status.toHaveText('Not started')
    await press(page, 'Push')
    await expect(page.getByRole('alert')).toHaveText('An ID has 1 to 64 of the characters A-Z, a-z, 0-9, . _ ~ -')
  })

  test('without subscribers cannot be cut, and the page says so', async ({ page, site }) => {
    await page.goto(`${site.url}/channel`)
    await press(page, 'Cut connections')
    await expect(page.getByRole('alert')).toHaveText('Nobody is subscribed: press “Start” first.')
  })

  test('asks for a token only once, not for every number', async ({ page, site }) => {
    site.route('/sse/push', (req, res) => {
      const ok = req.headers.authorization === 'Bearer the right token'
      const body = ok ? { position: 'a:1' } : { error: { code: 'token', message: 'Send the push token.' } }
      res.writeHead(ok ? 200 : 401, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
    })
    const answers = [null, null, 'the right token']
    let asked = 0
    page.on('dialog', (dialog) => {
      const answer = answers[asked++]
      void (answer ? dialog.accept(answer) : dialog.dismiss())
    })
    await page.goto(`${site.url}/channel`)
    await press(page, 'Push')
    await expect(page.getByRole('alert')).toHaveText('The push token is wrong.')
    await press(page, 'Push 1, 2, 3 …')
    await expect(page.getByRole('alert')).toHaveCount(2)
    await page.waitForTimeout(1_500)
    expect(asked).toBe(2)
    await press(page, 'Stop numbers')
    await push(page, 'x')
    await push(page, 'y')
    await expect(page.getByRole('alert')).toHaveCount(0)
    expect(asked).toBe(3)
  })

  test('says that a push did not reach the server, and shows the status of an unknown response', async ({
    page,
    site,
  }) => {
    await page.goto(`${site.url}/channel`)
    // The texts are loaded on first use.
    await press(page, '中文')
    await press(page, 'English')
    site.route('/sse/push', (_req, res) => res.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>Bad gateway'))
    await page.getByRole('textbox', { name: 'Message' }).fill('kept')
    await press(page, 'Push')
    await expect(page.getByRole('alert')).toHaveText('The server answered with status 502.')
    await site.stop()
    await press(page, 'Push')
    await expect(page.getByRole('alert')).toHaveText('The server cannot be reached. Is it running?')
    await expect(page.getByRole('textbox', { name: 'Message' })).toHaveValue('kept')
    await press(page, '中文')
    await press(page, '推送')
    await expect(page.getByRole('alert')).toHaveText('无法连接到服务器，请确认它正在运行。')
  })

  test('reports a gap as a typed event', async ({ page, site }) => {
    await page.goto(`${site.url}/harness`)
    await page.evaluate(() =>
      window.listen('/sse/subscribe?id=a&lastEventId=gone:7', ['message', 'stream-reset'], {
        events: ['stream-reset'],
      }),
    )
    await expect.poll(() => page.evaluate(() => window.harness.events.length)).toBe(2)
    await site.hub.publish('a', { data: 'new' })
    await expect.poll(() => page.evaluate(() => window.harness.events.length)).toBe(3)
    const events = await page.evaluate(() => window.harness.events)
    expect(events[1]).toContain('"reason":"epoch","requested":"gone:7"')
    expect(events[2]).toMatch(/^message:.*:1:new$/)
  })

  test('marks a gap where a subscriber missed messages, and shows the stored ones', async ({ page, site }) => {
    site.route('/sse/subscribe', (_req, res) => {
      const gap = { reason: 'epoch', requested: 'gone:7', oldest: 'e:1', latest: 'e:1' }
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      res.write('id: gone:7\ndata: before\n\n')
      res.write(`id: e:0\nevent: stream-reset\ndata: ${JSON.stringify(gap)}\n\nid: e:1\ndata: kept\n\n`)
    })
    await page.goto(`${site.url}/channel`)
    const one = subscriber(page, 1)
    await one.press('Start')
    await expect.poll(one.lines).toEqual(['before', '— gap: the server no longer has some messages —', 'kept'])
  })

  test('that has ended ends a plain EventSource too', async ({ page, site }) => {
    await page.goto(`${site.url}/harness`)
    const heard = plain(page, '/sse/subscribe?id=b', ['message', 'close'])
    await expect.poll(() => site.streams.size).toBe(1)
    await site.hub.publish('b', { data: 'one' })
    await site.hub.over('b')
    expect(await heard).toEqual(['message: 连接成功', 'message: one', 'close: Connection closed by server'])
  })
})

for (const transport of ['native', 'fetch', 'shared']) {
  test(`a stream that times out every second reconnects every second, and nothing in between is lost: ${transport}`, async ({
    page,
    site,
  }) => {
    await page.goto(`${site.url}/reconnect?transport=${transport}`)
    const openings = page.getByRole('region', { name: 'Connections' }).locator('tbody tr')
    await press(page, 'Start')
    await expect
      .poll(async () => (await lines(page)).filter((line) => line === '连接成功').length, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(3)
    await expect(openings.nth(2)).toBeVisible()
    await press(page, 'Stop')
    const numbers = (await lines(page)).filter((line) => line !== '连接成功').map(Number)
    expect(numbers.length).toBeGreaterThan(3)
    expect(numbers).toEqual(numbers.map((_number, n) => n + 1))

    await expect(openings.nth(0)).toHaveText(/^1.*–.*–.*from the start$/)
    await expect(openings.nth(1)).toHaveText(/^2\D*\d\d:\d\d:\d\d\.\d{3}.*\d\.\d s1[\w-]{12}:\d+$/)
    await press(page, 'Clear')
    await expect(openings).toHaveText(['No events yet. Press “Start”.'])
  })
}

test('the reconnect page says that it cannot push, and continues with the same number', async ({ page, site }) => {
  await page.goto(`${site.url}/reconnect`)
  const content = { error: { code: 'capacity-bytes', message: 'The log is full.' } }
  const refused: string[] = []
  site.route('/sse/push', (req, res) => {
    refused.push(req.url ?? '')
    res.writeHead(503, { 'Content-Type': 'application/json' }).end(JSON.stringify(content))
  })
  await press(page, 'Start')
  await expect(page.getByRole('alert')).toHaveText('The server’s event log is full: try again later.')
  await expect.poll(() => refused.length).toBeGreaterThan(1)
  site.unroute('/sse/push')
  await expect.poll(async () => (await lines(page)).find((line) => line !== '连接成功')).toBe('1')
  await expect(page.getByRole('alert')).toHaveCount(0)
})

for (const { locale, title, home, first } of [
  { locale: 'en-US', title: 'Page not found', home: 'Go to the first demo', first: 'Timestamps' },
  { locale: 'zh-CN', title: '页面不存在', home: '前往第一个演示', first: '时间戳' },
]) {
  test.describe(() => {
    test.use({ locale })

    test(`an unknown page is not found, says so in ${locale}, and leads home`, async ({ page, site }) => {
      const response = await page.goto(`${site.url}/nowhere/at%20all?x=1`)
      expect(response?.status()).toBe(404)
      const heading = page.getByRole('heading', { level: 2 })
      await expect(heading).toHaveText(title)
      await expect(page.getByRole('main')).toContainText('/nowhere/at%20all')
      await page.getByRole('link', { name: home }).click()
      await expect(heading).toHaveText(first)
      await page.goBack()
      await expect(heading).toHaveText(title)
    })
  })
}

test('the wire page shows every field verbatim, and the resulting events', async ({ page, site }) => {
  await page.goto(`${site.url}/wire`)
  await press(page, 'Start')
  const raw = page.getByRole('region', { name: 'Bytes of the stream' })
  await status(page).toHaveText('Finished by the server')
  for (const kind of ['data', 'event', 'id', 'retry', 'comment'])
    await expect(raw.locator(`.${kind}`).first()).toBeVisible()
  await expect(raw).toContainText(': A comment is not an event.')
  const names = page.locator('tbody td:nth-child(2)')
  await expect(names).toHaveText(['message', 'message', 'greeting', 'message', 'error', 'close'])

  const block = page.getByRole('textbox', { name: 'Type a block' })
  await block.fill('event: tick\ndata: x\n')
  await expect(page.getByRole('listitem').filter({ hasText: 'No event' })).toBeVisible()
  await block.fill('event: tick\ndata: x\n\n')
  await expect(page.getByRole('listitem').filter({ hasText: 'event: tick "x"' })).toBeVisible()
})
