/** The other pages as a person uses them, and their streams as a plain EventSource sees them. */
import type { Page } from '@playwright/test'
import { expect, test } from './fixture'

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const status = (page: Page) => expect(page.getByRole('status'))
const output = (page: Page) => page.getByRole('textbox', { name: 'Output' })
const lines = async (page: Page): Promise<string[]> => (await output(page).inputValue()).split('\n').filter(Boolean)
const callbacks = async (page: Page): Promise<string[]> =>
  ((await page.locator('pre.log').textContent()) ?? '')
    .split('\n')
    .map((line) => line.slice(9).trim())
    .filter(Boolean)

/** A plain EventSource in the page; resolves to what it has heard when it has given up for good. */
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
    { ending: 'complete', messages: 10, says: [], log: ['opened', 'onCompletion'] },
    {
      ending: 'an error after the third message',
      messages: 3,
      says: ['The server failed'],
      log: ['opened', 'onError failed', 'onCompletion'],
    },
    {
      ending: 'silence after the third message, until the timeout',
      messages: 3,
      says: ['Timed out after 3 s'],
      log: ['opened', 'onTimeout', 'onCompletion'],
    },
  ]
  for (const { ending, messages, says, log } of ENDINGS) {
    test(`with the ending "${ending}" calls back once, in order, and the page is told`, async ({ page, site }) => {
      await page.goto(`${site.url}/emitter`)
      await page.getByLabel(ending, { exact: true }).check()
      await press(page, 'Start')
      await status(page).toHaveText('Finished by the server')
      const all = await lines(page)
      expect(all.slice(0, messages).map((line) => line.replace(/^\[[-\d]{10} [:\d]{8}\] /, ''))).toEqual(
        Array.from({ length: messages }, (_, n) => `Data #${n}`),
      )
      expect(all.slice(messages)).toEqual(says)
      await expect.poll(() => callbacks(page)).toEqual(log)
    })
  }

  test('calls back when the reader leaves', async ({ page, site }) => {
    await page.goto(`${site.url}/emitter`)
    await page.getByLabel('silence', { exact: false }).check()
    await press(page, 'Start')
    await expect.poll(() => lines(page)).toHaveLength(3)
    await press(page, 'Stop')
    await expect.poll(() => callbacks(page)).toEqual(['opened', 'onError disconnected', 'onCompletion'])
  })

  test('ends a plain EventSource too, which is never told twice', async ({ page, site }) => {
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

test('lines without framing are in the raw text, and no event until they are framed', async ({ page, site }) => {
  const raw = page.getByRole('textbox', { name: 'The raw text of the response' })
  await page.goto(`${site.url}/by-hand`)
  await press(page, 'Start')
  await expect(raw).toHaveValue('订阅成功\n')
  await status(page).toHaveText('Receiving')
  await page.getByRole('textbox', { name: 'Content' }).fill('hello')
  await press(page, 'Push')
  await expect(raw).toHaveValue('订阅成功\nhello\n')
  await press(page, 'Push it framed')
  await expect.poll(() => lines(page)).toEqual(['framed'])
  await press(page, 'Over')
  await expect(raw).toHaveValue('订阅成功\nhello\ndata: framed\n\n\nover\n')
  expect(await lines(page)).toEqual(['framed'])
})

test.describe('a channel', () => {
  test('keeps what was pushed before anyone listened, reaches all its subscribers, and is over for all', async ({
    page,
    site,
    context,
  }) => {
    await page.goto(`${site.url}/channel`)
    const push = async (content: string): Promise<void> => {
      await page.getByRole('textbox', { name: 'Content' }).fill(content)
      await press(page, 'Push')
      await expect(page.getByRole('textbox', { name: 'Content' })).toHaveValue('')
    }
    await push('early')
    const id = await page.getByRole('textbox', { name: 'Id' }).inputValue()
    const other = await context.newPage()
    await other.goto(`${site.url}/channel`)
    await other.getByRole('textbox', { name: 'Id' }).fill(id)
    await other.getByRole('textbox', { name: 'Id' }).blur()
    await press(page, 'Start')
    await press(other, 'Start')
    await expect.poll(() => lines(page)).toEqual(['连接成功', 'early'])
    await expect.poll(() => lines(other)).toEqual(['连接成功', 'early'])
    await push('two\nlines 😀')
    for (const one of [page, other])
      await expect.poll(() => lines(one)).toEqual(['连接成功', 'early', 'two', 'lines 😀'])
    await press(page, 'Over')
    for (const one of [page, other]) await status(one).toHaveText('Finished by the server')
  })

  test('resumes where a reader stopped', async ({ page, site }) => {
    await page.goto(`${site.url}/channel`)
    const id = await page.getByRole('textbox', { name: 'Id' }).inputValue()
    await press(page, 'Start')
    await expect.poll(() => lines(page)).toHaveLength(1)
    await press(page, 'Stop')
    for (let n = 0; n < 3; n++) await site.hub.publish(id, { data: `missed ${n}` })
    await press(page, 'Start')
    await expect.poll(() => lines(page)).toEqual(['连接成功', '连接成功', 'missed 0', 'missed 1', 'missed 2'])
  })

  test('says what it no longer has, as a typed event', async ({ page, site }) => {
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

  test('that is over ends a plain EventSource too', async ({ page, site }) => {
    await page.goto(`${site.url}/harness`)
    const heard = plain(page, '/sse/subscribe?id=b', ['message', 'close'])
    await expect.poll(() => site.streams.size).toBe(1)
    await site.hub.publish('b', { data: 'one' })
    await site.hub.over('b')
    expect(await heard).toEqual(['message: 连接成功', 'message: one', 'close: Connection closed by server'])
  })
})

test('a stream that times out every second reconnects every second, and nothing between is lost', async ({
  page,
  site,
}) => {
  await page.goto(`${site.url}/reconnect`)
  await press(page, 'Start')
  await expect
    .poll(async () => (await lines(page)).filter((line) => line === '连接成功').length, { timeout: 20_000 })
    .toBeGreaterThanOrEqual(3)
  await press(page, 'Stop')
  const numbers = (await lines(page)).filter((line) => line !== '连接成功').map(Number)
  expect(numbers.length).toBeGreaterThan(3)
  expect(numbers).toEqual(numbers.map((_number, n) => n + 1))
})

for (const { locale, title, home, first } of [
  { locale: 'en-US', title: 'There is no such page', home: 'To the first demo', first: 'Timestamps' },
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

test('the wire shows every field as it is, and the events that come of them', async ({ page, site }) => {
  await page.goto(`${site.url}/wire`)
  await press(page, 'Start')
  const raw = page.getByRole('region', { name: 'The bytes of the stream' })
  await status(page).toHaveText('Finished by the server')
  for (const kind of ['data', 'event', 'id', 'retry', 'comment'])
    await expect(raw.locator(`.${kind}`).first()).toBeVisible()
  await expect(raw).toContainText(': A comment is no event.')
  const names = await page.locator('tbody td:nth-child(2)').allTextContents()
  expect(names).toEqual(['message', 'message', 'greeting', 'message', 'error', 'close'])

  const block = page.getByRole('textbox', { name: 'Type a block' })
  await block.fill('event: tick\ndata: x\n')
  await expect(page.getByRole('listitem').filter({ hasText: 'No event' })).toBeVisible()
  await block.fill('event: tick\ndata: x\n\n')
  await expect(page.getByRole('listitem').filter({ hasText: 'an event: tick "x"' })).toBeVisible()
})
