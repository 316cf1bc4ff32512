/** Compares VueUse's useEventSource, a bare EventSource and ours on the same server: `npm ci && npm start` here, after `npm ci` in the project. */
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'
import { build } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const [{ output }] = await build({
  configFile: false,
  root: here,
  logLevel: 'silent',
  define: { 'process.env.NODE_ENV': '"production"' },
  resolve: { dedupe: ['vue'] },
  build: { write: false, lib: { entry: `${here}page.js`, formats: ['es'] } },
})

const asked = new Map()
const head = { 'Content-Type': 'text/event-stream' }
const server = createServer((req, res) => {
  const { pathname, search } = new URL(req.url, 'http://localhost')
  const times = (asked.get(req.url.replace(/&?lastEventId=[^&]*/, '')) ?? 0) + 1
  asked.set(req.url.replace(/&?lastEventId=[^&]*/, ''), times)
  const events = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => `id: ${from + n}\ndata: ${from + n}\n\n`)
  if (pathname === '/')
    res.setHeader('Content-Type', 'text/html').end('<!doctype html><script type="module" src="/page.js"></script>')
  else if (pathname === '/page.js') res.setHeader('Content-Type', 'text/javascript').end(output[0].code)
  else if (pathname === '/count') res.end(String(asked.get(decodeURIComponent(search.slice(1))) ?? 0))
  else if (pathname === '/repeated') res.writeHead(200, head).write('data: tick\n\n'.repeat(3))
  else if (pathname === '/many') res.writeHead(200, head).write(events(1, 5_000).join(''))
  else if (pathname === '/numbers') {
    const last = req.headers['last-event-id'] ?? new URLSearchParams(search).get('lastEventId')
    let n = Number(last ?? 0)
    res.writeHead(200, head).flushHeaders()
    const timer = setInterval(() => res.write(events(++n, n).join('')), 100)
    res.on('close', () => clearInterval(timer))
  } else if (pathname === '/cut') {
    res.writeHead(200, head).write('retry: 10000\n\ndata: 1\n\n')
    setTimeout(() => res.destroy(), 300)
  } else if (pathname === '/outage' && times <= 3) res.writeHead(503).end()
  else if (pathname === '/outage') res.writeHead(200, head).write('data: back\n\n')
  else if (pathname === '/finished')
    res.writeHead(200, head).end('retry: 500\n\nid: 1\ndata: 1\n\nevent: close\ndata: bye\n\n')
  else res.writeHead(404).end()
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
})
const result = {}
for (const task of process.argv[2]
  ? [process.argv[2]]
  : ['repeated', 'resume', 'lost', 'refused', 'outage', 'finished', 'textarea']) {
  result[task] = {}
  for (const side of ['bare', 'vueuse', 'ours']) {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${server.address().port}/`)
    await page.waitForFunction(() => 'run' in window)
    result[task][side] =
      task === 'textarea'
        ? `${((await page.evaluate((name) => window.textarea(name), side)) / 1_000).toFixed(2)} s`
        : await page.evaluate(([name, what]) => window.run(name, what), [side, task])
    await page.close()
  }
}
console.table(result)
await browser.close()
server.closeAllConnections()
server.close()
