/** The “Use it” page: its files are those of the repository, its claims are demonstrated, and its minimal pair works unchanged. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer as createNetServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'
import { expect, test } from './fixture'

const root = fileURLToPath(new URL('..', import.meta.url))
const onDisk = (file: string): string => readFileSync(root + file, 'utf8')

test('every file can be copied and downloaded, and equals that of the repository', async ({ page, site, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${site.url}/use`)
  await page.getByText(/^\d+ files$/).click()
  for (const [name, folder] of [
    ['useEventSource.ts', 'client/composables'],
    ['fetchTransport.ts', 'client/composables'],
    ['sharedTransport.ts', 'client/composables'],
    ['emitter.ts', 'server/sse'],
    ['hub.ts', 'server/sse'],
  ] as const) {
    await page.getByRole('button', { name: `Copy ${name}`, exact: true }).click()
    await expect
      .poll(() => page.evaluate(() => navigator.clipboard.readText()), { timeout: 15_000 })
      .toBe(onDisk(`${folder}/${name}`))
    const downloading = page.waitForEvent('download')
    await page.getByRole('button', { name: `Download ${name}`, exact: true }).click()
    const download = await downloading
    expect(download.suggestedFilename()).toBe(name)
    expect(readFileSync(await download.path(), 'utf8')).toBe(onDisk(`${folder}/${name}`))
  }
  await expect(page.getByText('.test.ts')).toHaveCount(0)
  await page.getByRole('button', { name: 'Show the code of fetchTransport.ts' }).click()
  await expect(page.getByRole('region', { name: /fetchTransport\.ts/ })).toContainText("from 'eventsource-parser'")
  await page.getByRole('button', { name: 'Copy the command for use-event-source' }).click()
  await expect
    .poll(() => page.evaluate(() => navigator.clipboard.readText()))
    .toBe(`npx shadcn-vue@latest add ${site.url}/r/use-event-source.json`)
})

test.describe('what goes wrong with a bare EventSource', () => {
  test.use({ interval: 200 })

  test('is shown on the real server', async ({ page, site }) => {
    await page.goto(`${site.url}/use`)
    const card = (title: string) =>
      page.getByRole('article').filter({ has: page.getByRole('heading', { name: title }) })
    const values = async (title: string): Promise<string[]> => {
      await card(title).getByRole('button').click()
      await expect(card(title).locator('dd').last()).not.toHaveText('–', { timeout: 20_000 })
      return card(title).locator('dd').allTextContents()
    }
    expect(await values('Equal events count once')).toEqual(['1 of 3 events handled', '3 of 3 events handled'])
    const [again, resumed = ''] = await values('A restart')
    expect(again).toBe('starts over with number 1')
    expect(Number(/\d+$/.exec(resumed)?.[0])).toBeGreaterThan(2)
    expect(await values('An error')).toEqual(['error event: {"isTrusted":true}', 'failed, http 404'])
    await expect.poll(() => site.streams.size).toBe(0)
  })
})

test('the minimal pair works with the copied files and nothing else', async ({ page }) => {
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'pair-')))
  mkdirSync(`${project}/src/composables`, { recursive: true })
  symlinkSync(`${root}node_modules`, `${project}/node_modules`, 'junction')
  cpSync(`${root}client/composables/useEventSource.ts`, `${project}/src/composables/useEventSource.ts`)
  cpSync(`${root}client/Example.vue`, `${project}/src/App.vue`)
  cpSync(`${root}server/example.ts`, `${project}/server/example.ts`)
  cpSync(`${root}server/sse`, `${project}/server/sse`, {
    recursive: true,
    filter: (source) => !source.endsWith('.test.ts'),
  })
  writeFileSync(`${project}/package.json`, '{ "type": "module" }')
  writeFileSync(`${project}/index.html`, '<div id="app"></div><script type="module" src="/src/main.ts"></script>')
  writeFileSync(
    `${project}/src/main.ts`,
    `import { createApp } from 'vue'\nimport App from './App.vue'\ncreateApp(App).mount('#app')`,
  )
  for (const file of ['client/Example.vue', 'server/example.ts'])
    expect(onDisk(file).trim().split('\n').length, file).toBeLessThanOrEqual(16)

  const port = await freePort()
  const config = onDisk('client/example.vite.config.ts').replace('localhost:3000', `localhost:${port}`)
  writeFileSync(`${project}/vite.config.ts`, config)
  const server = spawn(process.execPath, ['--import', 'tsx', 'server/example.ts'], {
    cwd: project,
    env: { ...process.env, PORT: String(port) },
    stdio: 'inherit',
  })
  const dev = await createServer({
    configFile: `${project}/vite.config.ts`,
    root: project,
    logLevel: 'silent',
    server: { port: await freePort(), host: '127.0.0.1' },
  })
  try {
    await dev.listen()
    await page.goto(dev.resolvedUrls?.local[0] ?? '')
    await page.getByRole('button', { name: 'Start' }).click()
    await expect(page.locator('pre')).toContainText('Hello 2\n', { timeout: 20_000 })
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Start' }).click()
    await expect(page.locator('output')).toHaveText('closed', { timeout: 20_000 })
    const all = Array.from({ length: 10 }, (_, n) => `Hello ${n + 1}\n`)
    expect(await page.locator('pre').textContent()).toBe(all.join(''))
  } finally {
    await dev.close()
    server.kill()
    await once(server, 'exit')
    rmSync(project, { recursive: true })
  }
})

async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
