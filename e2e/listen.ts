import type { Page } from '@playwright/test'
import { expect, type Site } from './fixture'
import type { HarnessOptions } from './harness'

/** Opens the harness and starts a stream in it; `names` are what is listened to with `on`. */
export async function listen(
  page: Page,
  site: Site,
  url: string | null,
  { names = ['message', 'close'], ...options }: HarnessOptions & { names?: string[] } = {},
): Promise<void> {
  await page.goto(`${site.url}/harness`)
  await page.evaluate(([to, events, given]) => window.listen(to, events, given), [url, names, options] as const)
}

// What the harness says, at this moment; the status, in the end.
type InTheEnd<T> = ReturnType<typeof expect.poll<T>>

export const status = (page: Page): InTheEnd<string> =>
  expect.poll(() => page.evaluate(() => window.harness.stream.status.value))
export const reason = (page: Page): Promise<string | null> => page.evaluate(() => window.harness.stream.reason.value)
export const statuses = (page: Page): Promise<string[]> => page.evaluate(() => window.harness.statuses)
export const events = (page: Page): Promise<string[]> => page.evaluate(() => window.harness.events)
export const content = (page: Page): Promise<string> => page.evaluate(() => window.harness.stream.content.value)
