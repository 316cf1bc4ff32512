/** TodoMVC's specification, item by item, and what a list on several screens promises beyond it. */
import type { BrowserContext, Page } from '@playwright/test'
import { itemPathOf, itemsPathOf, MAX_TODOS, todosPathOf, type Todo, type TodosSnapshot } from '../shared/demos/todos'
import { expect, test, type Site } from './fixture'

const LIST = 'groceries'

const newTodo = (page: Page) => page.getByPlaceholder('What needs to be done?')
const items = (page: Page) => page.getByTestId('todo-item')
const item = (page: Page, title: string) => items(page).filter({ hasText: title })
const titles = (page: Page) => page.getByTestId('todo-item-label')

async function open(context: BrowserContext, site: Site, list = LIST, hash = ''): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`${site.url}/todos?list=${list}${hash}`)
  await expect(page.locator('[data-status=open]')).toBeVisible()
  return page
}

async function add(page: Page, ...all: string[]): Promise<void> {
  for (const title of all) {
    await newTodo(page).fill(title)
    await newTodo(page).press('Enter')
  }
}

const stored = async (site: Site): Promise<readonly Todo[]> => {
  const { body } = await fetch(site.url + todosPathOf(LIST))
  let text = ''
  for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    const [, data] = /^data: (.*)\n\n/m.exec(text) ?? []
    if (data !== undefined) return (JSON.parse(data) as TodosSnapshot).todos
  }
  return []
}

const patch = (site: Site, id: string, params: Record<string, string>) =>
  fetch(site.url + itemPathOf(LIST, id), { method: 'PATCH', body: new URLSearchParams(params) })

test.describe('TodoMVC', () => {
  test('No todos: main and footer are hidden', async ({ context, site }) => {
    const page = await open(context, site)
    await expect(page.locator('.main')).toHaveCount(0)
    await expect(page.locator('.footer')).toHaveCount(0)
  })

  test('New todo: the input has the focus; Enter appends the trimmed text and clears it; an empty one adds nothing', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    await expect(newTodo(page)).toBeFocused()
    await add(page, '  buy milk  ', 'walk', '   ')
    await expect(titles(page)).toHaveText(['buy milk', 'walk'])
    await expect(page.locator('.main')).toBeVisible()
    await expect(page.locator('.footer')).toBeVisible()
    await add(page, 'again')
    await expect(newTodo(page)).toHaveValue('')
  })

  test('Mark all as complete: toggles all to its own state, and follows single items and Clear completed', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    await add(page, 'one', 'two', 'three')
    const all = page.getByTestId('toggle-all')
    await all.check()
    for (const one of await items(page).all()) await expect(one).toHaveClass(/completed/)
    await item(page, 'two').getByRole('checkbox').uncheck()
    await expect(all).not.toBeChecked()
    await item(page, 'two').getByRole('checkbox').check()
    await expect(all).toBeChecked()
    await all.uncheck()
    for (const one of await items(page).all()) await expect(one).not.toHaveClass(/completed/)
    await all.check()
    await page.getByRole('button', { name: 'Clear completed' }).click()
    await expect(items(page)).toHaveCount(0)
    await add(page, 'new')
    await expect(all).not.toBeChecked()
  })

  test('Item: the checkbox completes it, a double click edits it, hovering shows the button that removes it', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    await add(page, 'one', 'two')
    await item(page, 'one').locator('.toggle').check()
    await expect(item(page, 'one')).toHaveClass(/completed/)
    await item(page, 'one').locator('.toggle').uncheck()
    await expect(item(page, 'one')).not.toHaveClass(/completed/)
    await item(page, 'two').locator('label').dblclick()
    await expect(items(page).nth(1)).toHaveClass(/editing/)
    await page.keyboard.press('Escape')
    const destroy = item(page, 'two').locator('.destroy')
    await newTodo(page).hover()
    await expect(destroy).toHaveCSS('opacity', '0')
    await item(page, 'two').hover()
    await expect(destroy).toHaveCSS('opacity', '1')
    await destroy.click()
    await expect(titles(page)).toHaveText(['one'])
  })

  test('Editing: hides the other controls, focuses; saves on Enter and on blur, trimmed; empty removes; Escape discards', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    await add(page, 'one', 'two', 'three')
    const edit = async (n: number, title: string) => {
      await titles(page).nth(n).dblclick()
      const input = items(page).nth(n).locator('.edit')
      await expect(input).toBeFocused()
      await expect(items(page).nth(n).locator('.view')).toBeHidden()
      await input.fill(title)
      return input
    }
    await (await edit(0, '  uno  ')).press('Enter')
    await expect(titles(page)).toHaveText(['uno', 'two', 'three'])
    await expect(page.locator('.editing')).toHaveCount(0)
    await (await edit(1, 'dos')).blur()
    await expect(titles(page)).toHaveText(['uno', 'dos', 'three'])
    await (await edit(2, 'tres')).press('Escape')
    await expect(titles(page)).toHaveText(['uno', 'dos', 'three'])
    await (await edit(1, '   ')).press('Enter')
    await expect(titles(page)).toHaveText(['uno', 'three'])
  })

  test('Counter: the number of active items in strong, and the word in its plural', async ({ context, site }) => {
    const page = await open(context, site)
    const count = page.locator('.todo-count')
    await add(page, 'one')
    await expect(count).toHaveText('1 item left')
    await add(page, 'two')
    await expect(count).toHaveText('2 items left')
    await expect(count.locator('strong')).toHaveText('2')
    await page.getByTestId('toggle-all').check()
    await expect(count).toHaveText('0 items left')
  })

  test('Clear completed: removes them, and is hidden when there are none', async ({ context, site }) => {
    const page = await open(context, site)
    await add(page, 'one', 'two')
    const clear = page.locator('.clear-completed')
    await expect(clear).toHaveCount(0)
    await item(page, 'one').getByRole('checkbox').check()
    await clear.click()
    await expect(titles(page)).toHaveText(['two'])
    await expect(clear).toHaveCount(0)
  })

  test('Persistence and routing: a reload keeps the items and the filter, and not the editing', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    await add(page, 'one', 'two')
    await item(page, 'one').getByRole('checkbox').check()
    await page.getByRole('link', { name: 'Active', exact: true }).click()
    await expect(page).toHaveURL(/#\/active$/)
    await expect(titles(page)).toHaveText(['two'])
    await expect(page.locator('.selected')).toHaveText('Active')
    await titles(page).dblclick()
    await page.reload()
    await expect(titles(page)).toHaveText(['two'])
    await expect(page.locator('.editing')).toHaveCount(0)
    await page.getByRole('link', { name: 'Completed', exact: true }).click()
    await expect(titles(page)).toHaveText(['one'])
    await item(page, 'one').getByRole('checkbox').click()
    await expect(items(page)).toHaveCount(0)
    await page.getByRole('link', { name: 'All', exact: true }).click()
    await expect(titles(page)).toHaveText(['one', 'two'])
    await page.goBack()
    await expect(page.locator('.selected')).toHaveText('Completed')
  })
})

test.describe('a list on several screens', () => {
  test('is the same at once, over one connection for all tabs', async ({ context, site }) => {
    const one = await open(context, site)
    await add(one, 'milk', 'bread')
    await expect(one.locator('.pending')).toHaveCount(0)
    const two = await open(context, site)
    await expect(titles(two)).toHaveText(['milk', 'bread'])
    await item(two, 'milk').getByRole('checkbox').check()
    await expect(item(one, 'milk')).toHaveClass(/completed/)
    await two.getByRole('button', { name: 'Clear completed' }).click()
    await expect(titles(one)).toHaveText(['bread'])
    await expect.poll(() => site.streams.size, { timeout: 20_000 }).toBe(1)
  })

  test('keeps what is done offline, marked, and sends it in order', async ({ context, site, browser }) => {
    const page = await open(context, site)
    await add(page, 'milk', 'bread')
    await expect(page.locator('.pending')).toHaveCount(0)
    const elsewhere = await browser.newContext()
    const other = await open(elsewhere, site)
    await site.stop()
    await add(page, 'offline')
    await item(page, 'milk').getByRole('checkbox').check()
    await titles(page).nth(1).dblclick()
    await page.locator('.edit').fill('rye bread')
    await page.locator('.edit').press('Enter')
    await expect(titles(page)).toHaveText(['milk', 'rye bread', 'offline'])
    await expect(page.locator('.pending')).toHaveCount(3)
    await expect(page.getByText('3 changes are waiting to be sent.')).toBeVisible()
    await site.start()
    for (const screen of [page, other]) {
      await expect(titles(screen)).toHaveText(['milk', 'rye bread', 'offline'], { timeout: 30_000 })
      await expect(item(screen, 'milk')).toHaveClass(/completed/, { timeout: 30_000 })
    }
    await expect(page.locator('.pending')).toHaveCount(0)
    await elsewhere.close()
  })

  test('keeps what waits over a reload, and sends it when the page is back', async ({ context, site }) => {
    const page = await open(context, site)
    await add(page, 'milk')
    await expect(page.locator('.pending')).toHaveCount(0)
    await site.stop()
    await add(page, 'offline')
    await item(page, 'milk').getByRole('checkbox').check()
    await expect(page.locator('.pending')).toHaveCount(2)
    // The page itself comes from the server, so a reload fails as long as that is away.
    await expect(page.reload()).rejects.toThrow()
    await expect(titles(page)).toHaveCount(0)
    // The page first, and its requests only when it has shown what it kept.
    site.route(itemsPathOf(LIST), (_req, res) => res.writeHead(503).end())
    await site.start()
    await page.goto(`${site.url}/todos?list=${LIST}`)
    await expect(titles(page)).toHaveText(['milk', 'offline'])
    await expect(item(page, 'milk')).toHaveClass(/completed/)
    await expect(page.getByText('2 changes are waiting to be sent.')).toBeVisible()
    site.unroute(itemsPathOf(LIST))
    await expect(page.locator('.pending')).toHaveCount(0, { timeout: 30_000 })
    const other = await open(context, site)
    await expect(titles(other)).toHaveText(['milk', 'offline'])
    await expect(item(other, 'milk')).toHaveClass(/completed/)
  })

  test('calls nothing of one screen another’s: however often an item is changed, at once or offline', async ({
    context,
    site,
  }) => {
    const page = await open(context, site)
    const rename = async (title: string): Promise<void> => {
      await titles(page).first().dblclick()
      await page.locator('.edit').fill(title)
      await page.locator('.edit').press('Enter')
    }
    await add(page, 'a')
    for (const title of ['b', 'c']) {
      await rename(title)
      await expect(page.locator('.pending')).toHaveCount(0)
    }
    await site.stop()
    await rename('d')
    await item(page, 'd').getByRole('checkbox').check()
    await rename('e')
    await site.start()
    await expect(page.locator('.pending')).toHaveCount(0, { timeout: 30_000 })
    await expect(page.locator('[data-status=open]')).toBeVisible({ timeout: 30_000 })
    await rename('f')
    const other = await open(context, site)
    await expect(titles(other)).toHaveText(['f'])
    await expect(page.getByRole('log')).toHaveCount(0)
  })

  test('edited on two screens at once has the last text, and both are told', async ({ context, site, browser }) => {
    const one = await open(context, site)
    await add(one, 'milk', 'bread')
    await expect(one.locator('.pending')).toHaveCount(0)
    const elsewhere = await browser.newContext()
    const two = await open(elsewhere, site)
    const begin = async (page: Page, n: number) => {
      await titles(page).nth(n).dblclick()
      return page.locator('.edit')
    }
    const mine = await begin(two, 0)
    await mine.fill('soy milk')
    const theirs = await begin(one, 0)
    await theirs.fill('oat milk')
    await theirs.press('Enter')
    await expect(two.locator('.edit')).toHaveValue('soy milk')
    await expect.poll(async () => (await stored(site))[0]?.title).toBe('oat milk')
    await mine.press('Enter')
    await expect(two.getByText('Your “soy milk” replaced “oat milk”')).toBeVisible()
    await expect(one.getByText('Another screen replaced your “oat milk” with “soy milk”.')).toBeVisible()
    for (const page of [one, two]) await expect(titles(page)).toHaveText(['soy milk', 'bread'])

    // Whoever only looked changes nothing.
    const looked = await begin(two, 1)
    await (await begin(one, 1)).fill('rye bread')
    await one.locator('.edit').press('Enter')
    await expect.poll(async () => (await stored(site))[1]?.title).toBe('rye bread')
    await looked.press('Enter')
    for (const page of [one, two]) await expect(titles(page)).toHaveText(['soy milk', 'rye bread'])
    await elsewhere.close()
  })

  test('removed on one screen while another edits it: that one is told what became of its text', async ({
    context,
    site,
    browser,
  }) => {
    const one = await open(context, site)
    await add(one, 'milk', 'bread')
    await expect(one.locator('.pending')).toHaveCount(0)
    const elsewhere = await browser.newContext()
    const two = await open(elsewhere, site)
    await titles(two).first().dblclick()
    await two.locator('.edit').fill('soy milk')
    await item(one, 'milk').hover()
    await item(one, 'milk').locator('.destroy').click()
    await expect(two.getByText('“soy milk” could not be saved. This item was removed on another screen.')).toBeVisible()
    for (const page of [one, two]) await expect(titles(page)).toHaveText(['bread'])
    await elsewhere.close()
  })

  test('lets the last write win, and says what it replaced', async ({ context, site }) => {
    const page = await open(context, site)
    await fetch(site.url + itemsPathOf(LIST), { method: 'POST', body: new URLSearchParams({ id: 'm', title: 'milk' }) })
    await expect(titles(page)).toHaveText(['milk'])
    const write = async (title: string): Promise<void> => {
      await titles(page).first().dblclick()
      await page.locator('.edit').fill(title)
      await page.locator('.edit').press('Enter')
    }
    await site.stop()
    await write('soy milk')
    await expect(page.locator('.pending')).toHaveCount(1)
    // Another screen's change is saved first, then this one's, and only then does the page have its stream back.
    site.route('/sse/todos/groceries', (_req, res) => res.writeHead(503).end())
    await page.route('**/items/m', (route) => route.fulfill({ status: 503 }))
    await site.start()
    await patch(site, 'm', { title: 'oat milk' })
    await page.unroute('**/items/m')
    await expect(page.getByText('Your “soy milk” replaced “oat milk”')).toBeVisible({ timeout: 30_000 })
    site.unroute('/sse/todos/groceries')
    await expect(page.locator('[data-status=open]')).toBeVisible({ timeout: 60_000 })
    await patch(site, 'm', { title: 'rice milk' })
    await expect(page.getByText('Another screen replaced your “soy milk” with “rice milk”.')).toBeVisible()
    await expect(titles(page)).toHaveText(['rice milk'])
  })

  test('says what could not be saved, and why', async ({ context, site }) => {
    for (let n = 0; n < MAX_TODOS; n++)
      await fetch(site.url + itemsPathOf(LIST), { method: 'POST', body: new URLSearchParams({ title: `${n}` }) })
    const page = await open(context, site)
    await add(page, 'one too many')
    await expect(page.getByText('“one too many” could not be saved. This list is full')).toBeVisible()
    await expect(items(page)).toHaveCount(MAX_TODOS)
  })

  test('has its name in the address, and one that cannot be is said to be none', async ({ context, site }) => {
    const page = await context.newPage()
    await page.goto(`${site.url}/todos`)
    await expect(page).toHaveURL(/list=list-\d+/)
    await add(page, 'here')
    const list = page.getByLabel('List', { exact: true })
    await list.fill('elsewhere')
    await list.press('Enter')
    await expect(page.locator('[data-status=open]')).toBeVisible()
    await expect(items(page)).toHaveCount(0)
    await list.fill('a b/c')
    await list.press('Enter')
    await expect(page.getByText('1 to 64 letters, digits')).toBeVisible()
  })

  test('shows text as text, in its own direction, and breaks what has no spaces', async ({ context, site }) => {
    const page = await open(context, site)
    await page.setViewportSize({ width: 360, height: 740 })
    const all = ['<img src=x onerror=alert(1)>', 'לקנות חלב!', '👩‍👩‍👧‍👦'.repeat(18), 'w'.repeat(200), '\u202eevil']
    await add(page, ...all)
    await expect(titles(page)).toHaveText(all)
    await expect(titles(page).nth(1)).toHaveCSS('direction', 'rtl')
    await expect(titles(page).nth(0)).toHaveCSS('direction', 'ltr')
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  })

  test('may be called anything that an ID can be', async ({ context, site }) => {
    for (const name of ['__proto__', 'constructor', '-', '0']) {
      const page = await open(context, site, name)
      await add(page, name)
      await expect(page.locator('.pending')).toHaveCount(0)
      await page.reload()
      await expect(titles(page)).toHaveText([name])
      await page.close()
    }
  })
})
