/** The browser interface for suites that run in every engine. Drivers: chromium.ts, firefox.ts, webkit.ts. */

export const ENGINES = ['chromium', 'firefox', 'webkit'] as const
export type EngineName = (typeof ENGINES)[number]

/** A browser process, started once per worker. */
export interface Engine {
  /** A fresh profile: its tabs share storage, locks and channels with each other, and nothing with other profiles. */
  openProfile: () => Promise<Profile>
  close: () => Promise<void>
}

export interface Profile {
  openTab: () => Promise<Tab>
  close: () => Promise<void>
}

/**
 * A page in a browser; Playwright's `Page` is one too. In Firefox a tab is hidden while a later one is open, in WebKit all tabs but the
 * first are hidden, in Chromium none.
 */
export interface Tab {
  goto: (url: string) => Promise<unknown>
  /** Runs a function in the page. It can use only its argument, and nothing from its scope. */
  evaluate: <Result, Arg = undefined>(
    run: (arg: Arg) => Result | Promise<Result>,
    ...arg: Arg extends undefined ? [] : [Arg]
  ) => Promise<Result>
  /** A PNG. */
  screenshot: () => Promise<Uint8Array>
  close: () => Promise<void>
}

/**
 * The suites that run only in Chromium, and why. All others run in every engine, through the interface above. Where a promise can be
 * tested without Chromium, the named suite tests it in every engine.
 */
export const CHROMIUM_ONLY: Record<string, string> = {
  accessibility: 'axe needs Playwright',
  answer: 'real clicks and keys need Playwright; pages opens the same pages',
  code: 'the clipboard needs Playwright; pages opens the same pages',
  comparison: 'real clicks and keys need Playwright; pages opens the same pages',
  demos: 'real clicks and keys need Playwright; pages opens the same pages',
  examples: 'compiles examples, which do not depend on the engine',
  frame: 'media and viewports are set by Playwright; pages opens the same pages',
  inbox: 'real clicks and keys need Playwright; pages opens the same pages',
  live: 'real clicks and keys need Playwright; pages opens the same pages',
  offline: 'only CDP switches the network off; outage does without',
  prerender: 'only Chromium prerenders',
  recipes: 'builds and serves the recipes, which do not depend on the engine',
  restored: 'Firefox and WebKit keep fewer pages; bfcache tests what they do with streams',
  shared: 'only CDP freezes and crashes tabs; tabs closes them, faults has them freeze by event',
  timestamps: 'real clicks and keys need Playwright; pages opens the same pages',
  use: 'downloads and the clipboard need Playwright; pages opens the same pages',
  weight: 'bytes on the wire need CDP',
  todos: 'real clicks and keys need Playwright; pages opens the same pages',
  transports: 'real clicks and keys need Playwright; tabs has the same tabs',
}
