/** A streamed answer as people see it: it continues, is the same everywhere, and stops for all. */
import type { Page } from '@playwright/test'
import { answersPath } from '../shared/demos/answer'
import { expect, test, type Site } from './fixture'

const text = (page: Page) => page.getByRole('region', { name: 'Answer', exact: true })
const state = (page: Page, name: string) => expect(page.locator(`[data-state=${name}]`))

async function ask(page: Page, site: Site, question = 'What is SSE?'): Promise<void> {
  await page.goto(`${site.url}/answer`)
  await page.getByLabel('Question').fill(question)
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await expect(text(page)).toContainText('I am not a model')
}

test('an answer comes as Markdown, without any HTML of its own, and says how fast it was', async ({ page, site }) => {
  await ask(page, site)
  await state(page, 'done').toBeVisible({ timeout: 60_000 })
  await expect(text(page).locator('strong').first()).toHaveText('not a model')
  await expect(text(page).locator('table, pre, ol, blockquote')).toHaveCount(4)
  await expect(text(page)).toContainText('such as <b>this</b> or <img src=x onerror=alert(1)>')
  await expect(text(page).locator('b, img')).toHaveCount(0)
  await expect(page.getByText(/first word after [\d.]+ s/)).toBeVisible()
  await expect(page.getByText(/\d+ words a second/)).toBeVisible()
  await expect(page.getByText('built-in speaker, no model')).toBeVisible()
})

test('a reload continues, a second tab reads along, and nobody is asked twice', async ({ page, context, site }) => {
  await ask(page, site)
  await page.reload()
  await expect(text(page)).toContainText('I am not a model')
  const other = await context.newPage()
  await other.goto(page.url())
  await expect(text(other)).toContainText('I am not a model')
  for (const tab of [page, other]) await state(tab, 'done').toBeVisible({ timeout: 60_000 })
  expect(await text(other).textContent()).toBe(await text(page).textContent())
  expect(site.to(answersPath)).toHaveLength(1)
})

test('Stop on one screen stops it on all, and Ask again asks anew', async ({ page, browser, site }) => {
  await ask(page, site)
  const phone = await browser.newContext()
  const other = await phone.newPage()
  await other.goto(page.url())
  await expect(text(other)).toContainText('I am not a model')
  await other.getByRole('button', { name: 'Stop for everyone' }).click()
  for (const tab of [page, other]) {
    await state(tab, 'stopped').toHaveText('Stopped for everyone')
    await expect(text(tab)).toContainText('the request to the model is cancelled')
  }
  await page.getByRole('button', { name: 'Ask again' }).click()
  await state(page, 'streaming').toBeVisible()
  expect(site.to(answersPath)).toHaveLength(2)
  await phone.close()
})

test('nothing is asked while an answer is being written', async ({ page, site }) => {
  await ask(page, site)
  await page.getByLabel('Question').press('Enter')
  await page.getByRole('button', { name: 'Stop for everyone' }).click()
  await state(page, 'stopped').toBeVisible()
  expect(site.to(answersPath)).toHaveLength(1)
})

test('what is not known any more, and a question that cannot be, are said in words', async ({ browser, site }) => {
  const context = await browser.newContext({ locale: 'zh-CN' })
  const page = await context.newPage()
  await page.goto(`${site.url}/answer?id=an-answer-of-long-ago`)
  await expect(page.getByText('没有这个回答，或者已不再保留。请重新提问。')).toBeVisible({ timeout: 20_000 })
  await page.getByLabel('问题').fill('  ')
  await page.getByRole('button', { name: '提问', exact: true }).click()
  await expect(page.getByText('请先写下问题。')).toBeVisible()
  await context.close()
})
