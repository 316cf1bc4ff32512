import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, createServer } from 'vite'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { builtPage } from '../server/page'
import { startApp } from '../server/testingApp'
import { registry } from './registry.ts'

vi.setConfig({ testTimeout: 60_000 })

interface Item {
  name: string
  type: string
  title?: string
  description?: string
  dependencies?: string[]
  registryDependencies?: string[]
  files: { path: string; type: string; content?: string; target?: string }[]
}

const root = fileURLToPath(new URL('..', import.meta.url))
const source = (path: string): string => readFileSync(join(root, path), 'utf8')
const list = JSON.parse(source('registry.json')) as { name: string; homepage: string; items: Item[] }

type Ask = (path: string) => Promise<Response>

/** The page as served by `npm start` and `npm run serve`, with only the registry in it. */
async function built(): Promise<Ask> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  await build({
    configFile: false,
    logLevel: 'silent',
    root: join(root, 'client'),
    publicDir: false,
    plugins: [registry(root)],
    build: { outDir: folder, rolldownOptions: { input: join(root, 'client/site/style.css') } },
  })
  return (await startApp({ page: builtPage(folder) })).fetch
}

/** As served by `npm run dev`. */
async function live(): Promise<Ask> {
  const server = createHttpServer()
  const vite = await createServer({
    configFile: false,
    logLevel: 'silent',
    appType: 'custom',
    root: join(root, 'client'),
    plugins: [registry(root)],
    optimizeDeps: { noDiscovery: true },
    server: { middlewareMode: true, ws: false, watch: null },
  })
  server.on('request', vite.middlewares)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(async () => {
    server.close()
    server.closeAllConnections()
    await vite.close()
  })
  const { port } = server.address() as AddressInfo
  return (path) => fetch(`http://127.0.0.1:${port}${path}`)
}

describe.each([
  ['built', built],
  ['live', live],
])('the registry of the %s page', (_name, serve) => {
  it('has every item as JSON, with the original files', async () => {
    const ask = await serve()
    for (const item of list.items) {
      const answer = await ask(`/r/${item.name}.json`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json; charset=utf-8$/i)
      expect(await answer.json()).toEqual({
        $schema: 'https://shadcn-vue.com/schema/registry-item.json',
        ...item,
        files: item.files.map(({ path, ...file }) => ({ path: basename(path), ...file, content: source(path) })),
      })
    }
    expect(await (await ask('/r/registry.json')).json()).toEqual(list)
    expect((await ask('/r/missing.json')).status).toBe(404)
  })
})

describe('registry.json', () => {
  const server = list.items.find(({ name }) => name === 'sse-server')

  it('lists the composable, its transports and the server half, as required by the schema', () => {
    const names = ['use-event-source', 'fetch-transport', 'shared-transport', 'sse-server']
    expect(list.items.map(({ name }) => name)).toEqual(names)
    expect(typeof list.name).toBe('string')
    expect(typeof list.homepage).toBe('string')
    for (const { type, files, registryDependencies } of list.items) {
      for (const file of files) expect(file.type).toBe(type)
      // They are addresses, and nobody knows where this is hosted.
      expect(registryDependencies).toBeUndefined()
    }
  })

  it('puts composables where the project has its own, and the server half into server/sse', () => {
    for (const { type, files } of list.items.filter((item) => item !== server)) {
      expect(type).toBe('registry:composable')
      for (const { target } of files) expect(target).toBeUndefined()
    }
    expect(server?.type).toBe('registry:file')
    // `~` is the folder of the project, even if its source is in src/.
    for (const { path, target } of server?.files ?? []) expect(target).toBe(`~/${path}`)
  })

  it('has every file of the server half', () => {
    const files = readdirSync(join(root, 'server/sse')).filter((name) => !name.endsWith('.test.ts'))
    expect(server?.files.map(({ path }) => path)).toEqual(files.sort().map((name) => `server/sse/${name}`))
  })

  it('gives each item everything that its files import', () => {
    for (const item of list.items) {
      const { files, dependencies = [] } = item
      const names = files.map(({ path }) =>
        item === server ? `./${basename(path, '.ts')}.js` : `./${basename(path, '.ts')}`,
      )
      const packages = dependencies.map((dependency) => dependency.replace(/@[^@]*$/, ''))
      const imports = files.flatMap(({ path }) => [...source(path).matchAll(/ from '(.*)'/g)].map(([, name]) => name))
      expect(imports.length).toBeGreaterThan(0)
      const builtIn = item === server ? imports.filter((name) => name?.startsWith('node:')) : ['vue']
      for (const name of imports) expect([...names, ...packages, ...builtIn]).toContain(name)
    }
  })

  it('names the tested version of each package', () => {
    const { dependencies: installed } = JSON.parse(source('package.json')) as { dependencies: Record<string, string> }
    const [major] = (installed['eventsource-parser'] ?? '').split('.')
    const dependencies = list.items.flatMap((item) => item.dependencies ?? [])
    expect(dependencies).toEqual([`eventsource-parser@${major ?? ''}`])
  })
})
