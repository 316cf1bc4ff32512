import type { Tab } from './engine'
import { expect, type Site } from './fixture'
import type { HarnessOptions } from './harness'

/** Opens the harness and starts a stream in it, with handlers for the events in `names`. */
export async function listen(
  tab: Tab,
  site: Site,
  url: string | null,
  { names = ['message', 'close'], ...options }: HarnessOptions & { names?: string[] } = {},
): Promise<void> {
  await tab.goto(`${site.url}/harness`)
  await tab.evaluate(([to, events, given]) => window.listen(to, events, given), [url, names, options] as const)
}

// The current state of the harness. `status` is polled until it is as expected.
type InTheEnd<T> = ReturnType<typeof expect.poll<T>>

export const status = (tab: Tab): InTheEnd<string> =>
  expect.poll(() => tab.evaluate(() => window.harness.stream.status.value))
export const reason = (tab: Tab): Promise<string | null> => tab.evaluate(() => window.harness.stream.reason.value)
export const statuses = (tab: Tab): Promise<string[]> => tab.evaluate(() => window.harness.statuses)
export const events = (tab: Tab): Promise<string[]> => tab.evaluate(() => window.harness.events)
export const content = (tab: Tab): Promise<string> => tab.evaluate(() => window.harness.stream.content.value)
