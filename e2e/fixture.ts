import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, test as base } from '@playwright/test'
import { build } from 'vite'
import { createApp, type App } from '../server/app'
import { builtPage } from '../server/page'
import { Hub } from '../server/sse/hub'
import { MemoryEventLog } from '../server/sse/memoryEventLog'
import { Streams } from '../server/sse/streams'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The real application on a real port, with routes that misbehave as the test says, and an end and a new beginning at will. */
export class Site {
  readonly requests: IncomingMessage[] = []
  readonly streams: Streams = new Streams()
  /** Keeps enough that a machine under load does not lose events which a test expects to be kept. */
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

  /** What the application answers again by itself. */
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

  /** As when the process dies: every connection is cut, and nothing listens any more. */
  async stop(): Promise<void> {
    const closed = this.#server?.close()
    // Also those that are WebSockets by now, which the server no longer knows.
    for (const socket of this.#sockets) socket.destroy()
    if (closed) await once(closed, 'close')
  }
}

/** Begins an event stream by hand. */
export function stream(res: ServerResponse, first = ''): ServerResponse {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' })
  // The shortest delay that still is one: reconnecting is what these tests wait for.
  res.write(`retry: 20\n\n${first}`)
  return res
}

export const test = base.extend<{ interval: number; site: Site }, { harness: string }>({
  /** Milliseconds between two events of the timestamps and of the emitter. */
  interval: [30, { option: true }],
  /** A text that a language lacks fails whichever test sees it. */
  context: async ({ context }, use) => {
    const missing: string[] = []
    context.on('console', (message) => {
      if (message.text().startsWith('No message')) missing.push(message.text())
    })
    await use(context)
    expect(missing).toEqual([])
  },
  harness: [
    async ({}, use) => {
      const result = await build({
        configFile: false,
        logLevel: 'silent',
        build: { write: false, minify: false, lib: { entry: path('./harness.ts'), formats: ['es'] } },
        define: { 'process.env.NODE_ENV': '"production"' },
      })
      const [bundle] = result as unknown as { output: { code: string }[] }[]
      await use(bundle?.output[0]?.code ?? '')
    },
    { scope: 'worker' },
  ],
  site: async ({ harness, interval }, use) => {
    const site = new Site(harness, interval)
    await site.start()
    await use(site)
    await site.stop()
  },
})

export { expect } from '@playwright/test'
