/** The inbox as people use it: in two tabs, cut, away, and with bad input. */
import type { BrowserContext, Page } from '@playwright/test'
import { inboxPaths } from '../shared/demos/inbox'
import { expect, test, type Site } from './fixture'

const write = (site: Site, text: string, user = 'ada'): Promise<Response> =>
  fetch(site.url + inboxPaths.messages, { method: 'POST', body: new URLSearchParams({ user, from: 'bob', text }) })

const items = (page: Page) => page.getByRole('region', { name: 'Messages' }).getByRole('listitem')
const texts = (page: Page): Promise<string[]> => items(page).locator('p').allTextContents()
const bell = (page: Page, unread: number) => page.getByRole('button', { name: `${unread} unread messages` })

async function open(context: BrowserContext, site: Site, user = 'ada'): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${site.url}/inbox?user=${user}`)
  await expect(page.getByRole('button', { name: 'unread messages' })).toBeVisible()
  await expect(page.getByText('Loading …')).toBeHidden({ timeout: 20_000 })
  return page
}

test('two tabs share one connection, show the same, and count it in their titles', async ({ context, site }) => {
  const [one, two] = [await open(context, site), await open(context, site)]
  await one.getByLabel('Message', { exact: true }).fill('Lunch?')
  await one.getByRole('button', { name: 'Send' }).click()
  for (const page of [one, two]) {
    await expect.poll(() => texts(page)).toEqual(['Lunch?'])
    await expect(bell(page, 1)).toBeVisible()
    await expect(page).toHaveTitle(/^\(1\) – Inbox/)
  }
  await expect(one.getByLabel('Message', { exact: true })).toHaveValue('')
  await expect.poll(() => site.streams.size, { timeout: 20_000 }).toBe(1)

  await write(site, 'Or tea?')
  await expect(bell(two, 2)).toBeVisible()
  await items(two).first().getByRole('button', { name: 'Mark as read' }).click()
  await expect(bell(one, 1)).toBeVisible()
  await bell(one, 1).click()
  await expect.poll(() => texts(one)).toEqual(['Lunch?'])
  await one.getByRole('button', { name: 'Mark all as read' }).click()
  for (const page of [one, two]) await expect(page).toHaveTitle(/^Inbox/)
  await expect(one.getByText('Everything is read.')).toBeVisible()
})

test('close the tab, send three, come back: three', async ({ context, site }) => {
  await (await open(context, site)).close()
  for (const text of ['1', '2', '3']) await write(site, text)
  const page = await open(context, site)
  await expect(bell(page, 3)).toBeVisible()
  expect(await texts(page)).toEqual(['3', '2', '1'])
})

test('what was written while the server was away from the page is there when it is back', async ({ context, site }) => {
  const page = await open(context, site)
  await write(site, 'before')
  await expect(bell(page, 1)).toBeVisible()
  await site.stop()
  await expect(page.locator('[data-status=reconnecting]')).toBeVisible()
  await site.start()
  await write(site, 'meanwhile')
  await expect.poll(() => texts(page), { timeout: 30_000 }).toEqual(['meanwhile', 'before'])
})

test('another name is another inbox, and a name that cannot be is said to be none', async ({ context, site }) => {
  await write(site, 'for ada')
  await write(site, '你好', '小明')
  const page = await open(context, site)
  const user = page.getByLabel('Inbox of')
  await user.fill('小明')
  await user.press('Enter')
  await expect.poll(() => texts(page)).toEqual(['你好'])
  await expect(page).toHaveURL(/user=%E5%B0%8F%E6%98%8E/)
  await user.fill('a/b')
  await user.press('Enter')
  await expect(page.getByText('1 to 32 letters, digits, dots')).toBeVisible()
  await expect(user).toHaveAttribute('aria-invalid', 'true')
})

test('errors are in the language of the page, and what was typed is not lost', async ({ browser, site }) => {
  const context = await browser.newContext({ locale: 'zh-CN' })
  const page = await context.newPage()
  await page.goto(`${site.url}/inbox?user=ada`)
  await page.getByRole('button', { name: '发送' }).click()
  await expect(page.getByRole('alert')).toHaveText('请先写点内容。')
  const text = page.getByLabel('消息内容')
  for (let n = 0; n < 100; n++) await write(site, `${n}`)
  await text.fill('还有空位吗？')
  await text.press('Enter')
  await expect(page.getByRole('alert')).toHaveText('收件箱里有 100 条未读消息：请先把一些标为已读。')
  await expect(text).toHaveValue('还有空位吗？')
  await context.close()
})

test('a message is text, whatever is in it, in its own direction, and fits', async ({ context, site }) => {
  const page = await open(context, site)
  await page.setViewportSize({ width: 360, height: 740 })
  const all = ['<img src=x onerror=alert(1)>', 'שלום, מה שלומך?', '👩‍👩‍👧‍👦'.repeat(90), 'w'.repeat(1_000), 'one\ntwo']
  for (const text of all) expect((await write(site, text)).status).toBe(201)
  await expect.poll(() => texts(page)).toEqual(all.toReversed())
  await expect(items(page).nth(3).locator('p')).toHaveCSS('direction', 'rtl')
  const overflow = await page.evaluate(
    () =>
      [document.documentElement, ...document.querySelectorAll('.list, .list li')].filter(
        ({ scrollWidth, clientWidth }) => scrollWidth > clientWidth,
      ).length,
  )
  expect(overflow).toBe(0)
  expect((await write(site, 'x'.repeat(65_536))).status).toBe(413)
})

test('two hundred messages at once: as many as there is room for, the same on every screen', async ({
  context,
  site,
}) => {
  const [one, two] = [await open(context, site), await open(context, site)]
  const statuses = await Promise.all(Array.from({ length: 200 }, async (_, n) => (await write(site, `${n}`)).status))
  expect(statuses.filter((status) => status === 201)).toHaveLength(100)
  expect(statuses.filter((status) => status === 409)).toHaveLength(100)
  for (const page of [one, two]) await expect(bell(page, 100)).toBeVisible()
  expect(await texts(two)).toEqual(await texts(one))
  await one.getByRole('button', { name: 'Mark all as read' }).click()
  await expect(bell(two, 0)).toBeVisible()
  // What is read makes room.
  await write(site, 'another')
  for (const page of [one, two]) {
    await expect(items(page)).toHaveCount(100)
    await expect(items(page).first()).toContainText('another')
  }
})
