import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect as playwrightExpect, test as base, type Browser } from '@playwright/test'
import { createApp, type App } from '../server/app'
import { builtPage } from '../server/page'
import { Hub } from '../server/sse/hub'
import { MemoryEventLog } from '../server/sse/memoryEventLog'
import { Streams } from '../server/sse/streams'
import { engineOf, findChromium } from './chromium'
import type { Engine, EngineName, Profile, Tab } from './engine'
import { openFirefox } from './firefox'
import { HARNESS } from './setup'
import { openWebKit } from './webkit'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The real application on a real port, with routes that misbehave on request. It can be stopped and started again. */
export class Site {
  readonly requests: IncomingMessage[] = []
  readonly streams: Streams = new Streams()
  /** Large enough that a machine under load does not trim events that a test expects to be stored. */
  readonly hub: Hub = new Hub(new MemoryEventLog({ maxEvents: 100_000, maxBytes: 2 ** 26 }))
  readonly #routes = new Map<string, RequestListener>()
  readonly #app: App
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port = 0

  constructor(harness: string, interval: number) {
    this.#app = createApp({
      streams: this.streams,
      hub: this.hub,
      page: builtPage(path('../dist/client')),
      timestamps: { interval },
      emitter: { interval, timeout: 3_000 },
      wire: { interval },
    })
    this.route('/harness', (_req, res) =>
      res
        .setHeader('Content-Type', 'text/html')
        .end('<!doctype html><script type="module" src="/harness.js"></script>'),
    )
    this.route('/harness.js', (_req, res) => res.setHeader('Content-Type', 'text/javascript').end(harness))
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** The requests for one path, in order. */
  to(pathname: string): IncomingMessage[] {
    return this.requests.filter(({ url }) => url?.split('?')[0] === pathname)
  }

  route(pathname: string, listener: RequestListener): void {
    this.#routes.set(pathname, listener)
  }

  /** Removes an override: the application answers again. */
  unroute(pathname: string): void {
    this.#routes.delete(pathname)
  }

  async start(): Promise<void> {
    this.#server = createServer((req, res) => {
      this.requests.push(req)
      const route = this.#routes.get(req.url?.split('?')[0] ?? '')
      if (route) route(req, res)
      else this.#app.request(req, res)
    })
    this.#server.on('upgrade', this.#app.upgrade).on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    await once(this.#server.listen(this.#port, '127.0.0.1'), 'listening')
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** As if the process died: every connection is cut, and nothing listens any more. */
  async stop(): Promise<void> {
    const closed = this.#server?.close()
    // Including WebSockets, which the server no longer tracks.
    for (const socket of this.#sockets) socket.destroy()
    if (closed) await once(closed, 'close')
  }
}

/** Starts an event stream by hand. */
export function stream(res: ServerResponse, first = ''): ServerResponse {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' })
  // A minimal delay: these tests mostly wait for reconnects.
  res.write(`retry: 20\n\n${first}`)
  return res
}

type Poll = typeof playwrightExpect.poll

/** Polls at a steady pace. Playwright's slows down to once a second, and most of a test's time would be spent waiting. */
const poll: Poll = (actual, options) =>
  playwrightExpect.poll(actual, {
    intervals: [20, 50, 100],
    ...(typeof options === 'string' ? { message: options } : options),
  })

export const expect: typeof playwrightExpect = new Proxy(playwrightExpect, {
  get: (target, name): unknown => (name === 'poll' ? poll : Reflect.get(target, name)),
})

interface TestFixtures {
  /** Milliseconds between two events of the timestamps and emitter demos. */
  interval: number
  site: Site
  /** Opens a tab in this test's profile, in the project's engine. */
  openTab: () => Promise<Tab>
  /** The first tab. Suites that run in every engine use this instead of `page`, which is Playwright's and Chromium only. */
  tab: Tab
}

export interface WorkerFixtures {
  engineName: EngineName
  /** With the back/forward cache, which Playwright disables and the headless shell does not have. */
  historyCache: boolean
  engine: Engine & { playwright?: Browser }
  harness: string
}

export const test = base.extend<TestFixtures & { profile: Profile }, WorkerFixtures>({
  interval: [30, { option: true }],
  engineName: ['chromium', { option: true, scope: 'worker' }],
  historyCache: [false, { option: true, scope: 'worker' }],
  engine: [
    async ({ engineName, historyCache, playwright }, use) => {
      const engine = await open[engineName](() => playwright.chromium.launch(historyCache ? WITH_HISTORY_CACHE : {}))
      await use(engine)
      await engine.close()
    },
    // For the first start of a browser on a busy machine.
    { scope: 'worker', timeout: 120_000 },
  ],
  browser: [
    async ({ engine }, use) => {
      if (!engine.playwright)
        throw new Error('Playwright drives Chromium alone: use `tab`, or name the suite in engine.ts.')
      await use(engine.playwright)
    },
    { scope: 'worker' },
  ],
  profile: async ({ engine }, use) => {
    const profile = await engine.openProfile()
    await use(profile)
    await profile.close()
  },
  openTab: async ({ profile }, use) => use(() => profile.openTab()),
  tab: async ({ openTab }, use) => use(await openTab()),
  /** A missing translation fails any test that comes across it. */
  context: async ({ context }, use) => {
    const missing: string[] = []
    context.on('console', (message) => {
      if (message.text().startsWith('No message')) missing.push(message.text())
    })
    await use(context)
    expect(missing).toEqual([])
  },
  harness: [async ({}, use) => use(await readFile(HARNESS, 'utf8')), { scope: 'worker' }],
  site: async ({ harness, interval }, use) => {
    const site = new Site(harness, interval)
    await site.start()
    await use(site)
    await site.stop()
  },
})

const WITH_HISTORY_CACHE = {
  executablePath: findChromium() ?? '',
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
}

const open: Record<EngineName, (launch: () => Promise<Browser>) => Promise<WorkerFixtures['engine']>> = {
  chromium: async (launch) => {
    const playwright = await launch()
    return { ...engineOf(playwright), playwright }
  },
  firefox: () => openFirefox(),
  webkit: () => openWebKit(),
}
