/** The transports page in several tabs of one browser, and the transport switch on all pages that have one. */
import type { BrowserContext, Page } from '@playwright/test'
import { expect, test, type Site } from './fixture'

test.setTimeout(60_000)

const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const status = (page: Page) => expect(page.getByRole('status'))
const radio = (page: Page, name: string) => page.getByRole('radio', { name, exact: true })
const words = (page: Page) => expect(page.locator('figcaption').first())

/** The picture as paths: `server > Tab 1 > Tab 2`; a tab without a stream stands alone. */
const picture = (page: Page): Promise<string[]> =>
  page.locator('figure .tab b').evaluateAll((names) =>
    names.map((name) => {
      const path = [name.textContent]
      if (name.closest('.others')) return path.join('')
      for (let item = name.closest('li'); item; item = item.parentElement?.closest('li') ?? null) {
        const above = item.parentElement?.previousElementSibling
        if (above) path.unshift(above.querySelector('b')?.textContent ?? above.textContent)
      }
      return path.join(' > ')
    }),
  )

/** The tabs that share one connection, the leader first; empty if they do not share one. A busy machine may change the leader. */
async function sharing(page: Page): Promise<string[]> {
  const paths = (await picture(page)).map((path) => path.split(' > ')).filter(([root]) => root === 'Server')
  const leader = paths.find(({ length }) => length === 2)?.[1] ?? ''
  const followers = paths.filter(([, above, tab]) => above === leader && tab !== undefined).map(([, , tab = '']) => tab)
  return followers.length === paths.length - 1 ? [leader, ...followers] : []
}

/** Waits until exactly these tabs share a connection. Resolves to the leader. */
async function expectSharing(page: Page, ...tabs: string[]): Promise<string> {
  await expect.poll(async () => (await sharing(page)).toSorted()).toEqual(tabs)
  return (await sharing(page))[0] ?? ''
}

async function open(context: BrowserContext, site: Site, query: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${site.url}/transports${query}`)
  await expect(page.locator('.this')).toHaveCount(1)
  return page
}

test.describe('the picture of the tabs', () => {
  test.use({ interval: 1_000 })

  test('shows which tab leads, and the next leader when that tab is closed', async ({ context, site }) => {
    const first = await open(context, site, '?transport=shared')
    await words(first).toHaveText('No tab has a stream yet: press “Start”.')
    expect(await picture(first)).toEqual(['Tab 1'])
    await press(first, 'Start')
    await expect.poll(() => picture(first)).toEqual(['Server > Tab 1'])

    const opened = context.waitForEvent('page')
    await first.getByRole('link', { name: 'Open another tab' }).click()
    const second = await opened
    // It starts by itself.
    await status(second).toHaveText('Receiving')
    const third = await open(context, site, '?transport=shared&start')
    const pages = new Map([
      ['Tab 1', first],
      ['Tab 2', second],
      ['Tab 3', third],
    ])
    for (const [name, page] of pages) {
      await expectSharing(page, ...pages.keys())
      await words(page).toHaveText(/^Tabs with a stream: 3\. Connections to the server: 1\. Tab \d leads\.$/)
      await expect(page.locator('.tab', { hasText: 'this tab' })).toContainText(name)
      await expect(page).toHaveTitle(new RegExp(`^${name} – `))
    }
    await expect(first.getByText('Open streams on the server, from all clients: 1')).toBeVisible()
    expect(site.streams.size).toBe(1)

    const leader = await expectSharing(third, ...pages.keys())
    await pages.get(leader)?.close()
    pages.delete(leader)
    const [page] = pages.values()
    if (!page) throw new Error('There is no tab left.')
    const next = await expectSharing(page, ...pages.keys())
    await words(page).toHaveText(/^Tabs with a stream: 2\. Connections to the server: 1\. Tab \d leads\.$/)
    await status(page).toHaveText('Receiving')

    // The smallest free number.
    const late = await open(context, site, '?transport=shared')
    await expect.poll(() => picture(page)).toContain(leader)
    const stopped = pages.get(next)
    if (!stopped) throw new Error('Nobody leads.')
    await press(stopped, 'Stop')
    pages.delete(next)
    await expectSharing(late, ...pages.keys())
    await expect
      .poll(async () => (await picture(late)).toSorted())
      .toEqual([`Server > ${[...pages.keys()].join()}`, leader, next].toSorted())
  })

  test('gives each tab a line of its own with native and with fetch', async ({ context, site }) => {
    const pages: Page[] = []
    for (const query of ['?start', '?transport=fetch&start', '?transport=shared&start', '?transport=shared&start'])
      pages.push(await open(context, site, query))
    const [last] = pages.slice(-1)
    if (!last) throw new Error('There is no tab.')
    await expect
      .poll(async () => (await picture(last)).toSorted())
      .toEqual(['Server > Tab 1', 'Server > Tab 2', expect.stringMatching(/^Server > Tab [34]$/), expect.anything()])
    expect((await picture(last)).join()).toMatch(/Server > Tab 3 > Tab 4|Server > Tab 4 > Tab 3/)
    await words(last).toHaveText(/^Tabs with a stream: 4\. Connections to the server: 3\. Tab [34] leads\.$/)
    await expect.poll(() => site.streams.size).toBe(3)
  })

  test('loses a tab that leaves the page, and shows it again when it returns', async ({ context, site }) => {
    const first = await open(context, site, '?transport=shared&start')
    const second = await open(context, site, '?transport=shared&start')
    await expectSharing(second, 'Tab 1', 'Tab 2')
    await first.getByRole('link', { name: 'Timestamps' }).click()
    await expect.poll(() => picture(second)).toEqual(['Server > Tab 2'])
    await expect(first).not.toHaveTitle(/Tab/)
    await first.getByRole('link', { name: 'Transports' }).click()
    await expect.poll(() => picture(second)).toEqual(['Server > Tab 2', 'Tab 1'])
  })

  test('keeps the number of a tab that changes its transport', async ({ context, site }) => {
    const first = await open(context, site, '?start')
    const second = await open(context, site, '')
    await expect.poll(() => picture(second)).toEqual(['Server > Tab 1', 'Tab 2'])
    for (const name of ['shared', 'fetch', 'native']) {
      await radio(first, name).check()
      await expect(second.locator('.tab', { hasText: 'Tab 1' })).toContainText(name)
      await expect.poll(() => picture(first)).toEqual(['Server > Tab 1', 'Tab 2'])
    }
  })

  test('shows a lost connection', async ({ context, site }) => {
    const page = await open(context, site, '?start')
    await expect.poll(() => picture(page)).toEqual(['Server > Tab 1'])
    await site.stop()
    await expect(page.locator('li.waiting')).toContainText('reconnecting …')
    await expect(page.getByText('The server cannot be reached.')).toBeVisible()
    await site.start()
    await expect(page.locator('.tab')).toContainText('native', { timeout: 20_000 })
    await expect(page.locator('li.waiting')).toHaveCount(0)
  })

  test('of seven tabs without sharing shows that one waits, and what for', async ({ context, site }) => {
    const pages: Page[] = []
    // All of them load while they are idle.
    for (let n = 0; n < 7; n++) pages.push(await open(context, site, ''))
    for (const page of pages.slice(0, 6)) {
      await press(page, 'Start')
      await status(page).toHaveText('Receiving')
    }
    const [seventh] = pages.slice(6)
    if (!seventh) throw new Error('There is no seventh tab.')
    await seventh.bringToFront()
    await press(seventh, 'Start')
    await status(seventh).toHaveText('Connecting …')
    await expect(seventh.locator('li.waiting')).toContainText('Tab 7')
    await expect(seventh.getByText('Are all six connections of the browser taken?')).toBeVisible()
    await pages[0]?.close()
    await status(seventh).toHaveText('Receiving')
  })
})

test('without Web Locks the page says so, and streams all the same', async ({ page, site }) => {
  await page.addInitScript(() => Reflect.deleteProperty(Navigator.prototype, 'locks'))
  await page.goto(`${site.url}/transports?transport=shared`)
  await expect(page.getByText('tabs cannot find each other')).toBeVisible()
  await press(page, 'Start')
  await status(page).toHaveText('Receiving')
  await expect(page.locator('figure .tab')).toHaveCount(0)
})

test('the stream of the transports page restarts when it has finished, and ends when it is stopped', async ({
  page,
  site,
}) => {
  await page.goto(`${site.url}/transports`)
  await press(page, 'Start')
  await expect.poll(() => site.to('/sse').length).toBeGreaterThan(2)
  await press(page, 'Stop')
  await status(page).toHaveText('Stopped by you')
})

test('shared streams restart together, over one connection', async ({ context, site }) => {
  const pages = [
    await open(context, site, '?transport=shared&start'),
    await open(context, site, '?transport=shared&start'),
    await open(context, site, '?transport=shared&start'),
  ]
  const runs = (page: Page): Promise<number> => page.locator('tbody code', { hasText: 'close' }).count()
  for (const page of pages) await expect.poll(() => runs(page), { timeout: 20_000 }).toBeGreaterThan(1)
  for (const page of pages) await expect.poll(() => runs(page), { timeout: 20_000 }).toBeGreaterThan(2)
  expect(site.streams.size).toBeLessThanOrEqual(1)
})

test('the differences are in a table', async ({ page, site }) => {
  await page.goto(`${site.url}/transports`)
  const table = page.getByRole('region', { name: 'How they differ' })
  await expect(table.getByRole('columnheader')).toHaveText(['native', 'fetch', 'shared'])
  await expect(table.getByRole('row', { name: 'Eight tabs' }).getByRole('cell').last()).toHaveText('one connection')
})

test.describe('the switch', () => {
  const PATHS = ['/', '/emitter', '/channel', '/reconnect', '/transports']

  test.describe(() => {
    test.use({ interval: 1_000 })

    for (const path of PATHS) {
      test(`on ${path} writes the transport into the address, and restarts only what was running`, async ({
        page,
        site,
      }) => {
        const query = (): string | null => new URL(page.url()).searchParams.get('transport')
        const output = page.getByRole('textbox', { name: 'Output' }).first()
        await page.goto(site.url + path)
        await expect(radio(page, 'native')).toBeChecked()
        await page
          .getByRole('button', { name: /^Start( all)?$/ })
          .first()
          .click()
        for (const name of ['fetch', 'shared', 'native']) {
          await expect(output).not.toHaveValue('')
          await radio(page, name).check()
          await expect(radio(page, name)).toBeFocused()
          await expect.poll(query).toBe(name === 'native' ? null : name)
        }
        await expect(output).not.toHaveValue('')
        await page
          .getByRole('button', { name: /^Stop( all)?$/ })
          .first()
          .click()
        await radio(page, 'fetch').check()
        await expect(page.getByRole('status').first()).toHaveText('Not started')
        await expect(output).toHaveValue('')
      })
    }
  })

  test('really switches: only fetch sees the server’s message', async ({ page, site }) => {
    site.route('/sse', (_req, res) => res.writeHead(404).end('{"error":{"message":"No such stream."}}'))
    await page.goto(site.url)
    await press(page, 'Start')
    await status(page).toHaveText('Failed: refused by the server')
    await expect(page.getByRole('alert')).toHaveText('The server answered with status 404.')
    await radio(page, 'fetch').check()
    await press(page, 'Start')
    await expect(page.getByRole('alert')).toHaveText('The server answered with status 404. No such stream.')
  })

  test('treats an unknown transport as native', async ({ page, site }) => {
    await page.goto(`${site.url}/?transport=pigeon`)
    await expect(radio(page, 'native')).toBeChecked()
    await press(page, 'Start')
    await status(page).toHaveText('Finished by the server')
  })

  test('works by keyboard', async ({ page, site }) => {
    await page.goto(site.url)
    await radio(page, 'native').focus()
    await page.keyboard.press('ArrowRight')
    await expect(radio(page, 'fetch')).toBeFocused()
    await page.keyboard.press('ArrowRight')
    await expect(radio(page, 'shared')).toBeChecked()
    await expect(page).toHaveURL(/transport=shared/)
  })

  for (const path of ['/wire', '/by-hand'])
    test(`is not on ${path}`, async ({ page, site }) => {
      await page.goto(site.url + path)
      await expect(page.getByRole('heading', { level: 2 })).toBeVisible()
      await expect(page.getByRole('radio', { name: 'shared' })).toHaveCount(0)
    })
})
