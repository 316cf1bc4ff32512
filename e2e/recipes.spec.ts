/** The pages of the recipes, each built and served in a project of its own as a reader would, against a real server. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { expect, test as base, type Page } from '@playwright/test'
import { build, preview } from 'vite'
import { freePort, workspace, writeRecipe } from '../docs/recipes/testingRecipe'

interface Recipe {
  /** Builds a recipe's page, serves it, and opens it. `/api` goes to the recipe's server, with this environment, or is answered by `api`. `edit` changes the code. */
  open: (page: string, api?: RequestListener | Record<string, string>, edit?: (code: string) => string) => Promise<void>
  /** Starts a further server, and returns its port. */
  listen: (answer: RequestListener) => Promise<number>
  /** The page's API requests. */
  requests: string[]
  /** Stops the API and starts it again, as in a deployment. */
  restart: () => Promise<void>
}

const tsx = fileURLToPath(import.meta.resolve('tsx/cli'))

const test = base.extend<{ recipe: Recipe }>({
  recipe: async ({ page }, use) => {
    const folder = workspace()
    const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true })]
    const requests: string[] = []
    const problems: string[] = []
    let restart = (): Promise<void> => Promise.resolve()
    page.on('request', (request) => {
      const { pathname } = new URL(request.url())
      if (pathname.startsWith('/api')) requests.push(pathname)
    })
    page.on('pageerror', (error) => problems.push(String(error)))
    page.on('console', (message) => {
      if (message.type() === 'warning') problems.push(message.text())
    })

    const open = async (
      name: string,
      api: RequestListener | Record<string, string> = {},
      edit: (code: string) => string = (code) => code,
    ): Promise<void> => {
      const port = typeof api === 'function' ? await listen(api) : await freePort()
      const root = writeRecipe(folder, name, (code) => edit(code).replaceAll('3000', String(port)))
      if (typeof api === 'object') {
        let stop = await run(root, port, api)
        ends.push(() => stop())
        restart = async () => {
          await stop()
          stop = await run(root, port, api)
        }
      }
      const config = { root, logLevel: 'silent', mode: 'development' } as const
      await build({ ...config, define: { 'process.env.NODE_ENV': '"development"' } })
      const site = await preview({ ...config, preview: { port: 0, host: '127.0.0.1' } })
      ends.push(() => site.close())
      await page.goto(site.resolvedUrls?.local[0] ?? '')
    }
    const listen = async (answer: RequestListener): Promise<number> => {
      const server = createServer(answer).listen(0, '127.0.0.1')
      ends.push(() => {
        server.close()
        server.closeAllConnections()
      })
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    }

    await use({ open, listen, requests, restart: () => restart() })
    for (const end of ends.reverse()) await end()
    expect(problems).toEqual([])
  },
})

/** Starts the recipe's server. Returns a function that stops it. */
async function run(root: string, port: number, env: Record<string, string>): Promise<() => Promise<void>> {
  const child = spawn(
    process.execPath,
    existsSync(`${root}/server/main.ts`) ? [tsx, 'server/main.ts'] : ['server.mjs'],
    {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  )
  await expect
    .poll(() => fetch(`http://localhost:${port}/`).then(({ status }) => status, String), { timeout: 30_000 })
    .toBe(404)
  return async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

const prices = (page: Page) => page.getByRole('listitem')

test.describe.configure({ timeout: 90_000 })

test('Pinia: all users of the store share one stream, which stops, resumes, and outlives a restart', async ({
  page,
  recipe,
}) => {
  await recipe.open('pinia.md')
  await expect(prices(page)).toHaveText([/^ACME \d/, /^GLOBEX \d/, /^INITECH \d/])
  expect(recipe.requests).toEqual(['/api/prices/stream'])
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(page.locator('p')).toHaveText('closed')
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.locator('p')).toHaveText('open')

  const before = await prices(page).allTextContents()
  await recipe.restart()
  await expect.poll(() => prices(page).allTextContents(), { timeout: 30_000 }).not.toEqual(before)
  await expect(page.locator('p')).toHaveText('open')
})

test('Pinia: with useLivePrices the stream ends with the last component', async ({ page, recipe }) => {
  let streams = 0
  const answer: RequestListener = (_req, res) => {
    streams++
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.write('event: price\ndata: {"symbol":"ACME","value":1,"version":1}\n\n')
    res.on('close', () => streams--)
  }
  await recipe.open('pinia.md', answer, (code) =>
    code
      .replace("{ usePrices } from './stores/prices'", "{ useLivePrices as usePrices } from './stores/useLivePrices'")
      .replace('    immediate: true,\n', '')
      .replace(
        "createApp(App).use(createPinia()).mount('#app')",
        'Object.assign(window, { app: createApp(App).use(createPinia()) })',
      )
      .concat(code.includes('createPinia()') ? "\n;(window as any).app.mount('#app')\n" : ''),
  )
  await expect(prices(page)).toHaveText(['ACME 1'])
  expect(streams).toBe(1)
  await page.evaluate(() => (window as unknown as { app: { unmount: () => void } }).app.unmount())
  await expect.poll(() => streams).toBe(0)
})

test('TanStack Query: the list is loaded once, and events change it', async ({ page, recipe }) => {
  await recipe.open('tanstack-query.md')
  await expect(prices(page)).toHaveCount(3)
  const before = await prices(page).allTextContents()
  await expect.poll(() => prices(page).allTextContents()).not.toEqual(before)
  expect(recipe.requests.toSorted()).toEqual(['/api/prices', '/api/prices/stream'])
})

test('Authentication: an expired token is refreshed, the stream resumes, and a refusal is final', async ({
  page,
  recipe,
}) => {
  let issued = 0
  let isSignedIn = true
  const streams: IncomingMessage[] = []
  await recipe.open('authentication.md', (req, res) => {
    if (req.url === '/api/token') {
      res.statusCode = isSignedIn ? 200 : 401
      res.setHeader('Content-Type', 'application/json').end(JSON.stringify({ accessToken: `token-${++issued}` }))
      return
    }
    streams.push(req)
    if (req.headers.authorization !== `Bearer token-${issued}`) {
      res.writeHead(401).end()
      return
    }
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.write(`retry: 20\n\nid: ${issued}\nevent: price\ndata: with token ${issued}\n\n`)
    // Its token expires at once.
    const token = issued
    setTimeout(() => res.end(), 300)
    if (token === 1) issued++
    else isSignedIn = false
    if (token > 1) issued++
  })
  await expect(page.getByText('Please sign in.')).toBeVisible()
  await expect(page.locator('output')).toHaveText('with token 3')
  expect(streams.map(({ headers }) => [headers.authorization, headers['last-event-id']])).toEqual([
    ['Bearer token-1', undefined],
    ['Bearer token-1', '1'],
    ['Bearer token-3', '1'],
    ['Bearer token-3', '3'],
  ])
})

test('Streaming from a model: deltas up to [DONE], another answer, and Stop, which reaches the model', async ({
  page,
  recipe,
}) => {
  let hasLeft = false
  const prompts: unknown[] = []
  const delta = (content: string): string => `data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`
  const model = await recipe.listen((req, res) => {
    let body = ''
    req.on('data', (chunk: Buffer) => (body += chunk.toString()))
    req.on('end', () => {
      const { messages } = JSON.parse(body) as { messages: { content: string }[] }
      const prompt = messages[0]?.content
      prompts.push([req.headers.authorization, prompt])
      if (prompt === 'fail') {
        res.writeHead(500).end()
        return
      }
      res.writeHead(200, { 'Content-Type': 'text/event-stream' })
      res.write(delta('Hello') + delta(', ') + delta(String(prompt)))
      if (prompt !== 'endless') res.end('data: [DONE]\n\n')
      res.on('close', () => (hasLeft = true))
    })
  })
  await recipe.open('model.md', { MODEL_URL: `http://127.0.0.1:${model}`, MODEL_KEY: 'a-key' })
  const ask = async (prompt: string): Promise<void> => {
    await page.getByLabel('Prompt').fill(prompt)
    await page.getByRole('button', { name: 'Send' }).click()
  }
  const answer = page.locator('pre')
  await ask('world')
  await expect(answer).toHaveText('Hello, world')
  await ask('Vue')
  await expect(answer).toHaveText('Hello, Vue')
  hasLeft = false
  await ask('endless')
  await expect(answer).toHaveText('Hello, endless')
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect.poll(() => hasLeft).toBe(true)
  await expect(answer).toHaveText('Hello, endless')
  await ask('fail')
  await expect(page.getByRole('alert')).toHaveText('The model is not available. Please try again.')
  expect(prompts).toEqual(['world', 'Vue', 'endless', 'fail'].map((prompt) => ['Bearer a-key', prompt]))
})

test('Snapshot, then stream: the state, its changes, and the state again after a server restart', async ({
  page,
  recipe,
}) => {
  await recipe.open('snapshot.md')
  const orders = prices(page)
  await expect(orders).toHaveText([/^1 /, /^2 /, /^3 /, /^4 /])
  await expect(orders.first()).toHaveText('1 paid', { timeout: 15_000 })
  await expect(orders.first()).toHaveText('1 shipped', { timeout: 15_000 })
  await recipe.restart()
  // It does not know the old orders, nor the id with which the page reconnects.
  const before = await orders.allTextContents()
  await expect.poll(() => orders.allTextContents(), { timeout: 30_000 }).not.toEqual(before)
  await expect(page.locator('p')).toHaveText('open')
})

test('Other servers: the page shows progress, and is done at close', async ({ page, recipe }) => {
  await recipe.open('other-servers.md', (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' })
    res.end(
      'id: 1\nevent: progress\ndata: 20\n\nid: 2\nevent: progress\ndata: 40\n\nid: 3\nevent: close\ndata: done\n\n',
    )
  })
  await page.getByRole('button', { name: 'Start' }).click()
  await expect(page.locator('#app')).toContainText('closed')
  await expect(page.getByRole('progressbar')).toHaveJSProperty('value', 40)
})
