import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
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

/** The page as `npm start` and `npm run serve` serve it, with nothing in it but the registry. */
async function built(): Promise<Ask> {
  const folder = mkdtempSync(join(tmpdir(), 'registry-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  await build({
    configFile: false,
    logLevel: 'silent',
    root: join(root, 'client'),
    publicDir: false,
    plugins: [registry(root)],
    build: { outDir: folder, rolldownOptions: { input: join(root, 'client/style.css') } },
  })
  return (await startApp({ page: builtPage(folder) })).fetch
}

/** As `npm run dev` serves it. */
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
  it('has every item as JSON, with the files as they are', async () => {
    const ask = await serve()
    for (const item of list.items) {
      const answer = await ask(`/r/${item.name}.json`)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json; charset=utf-8$/i)
      expect(await answer.json()).toEqual({
        $schema: 'https://shadcn-vue.com/schema/registry-item.json',
        ...item,
        files: item.files.map(({ path, type }) => ({ path: basename(path), type, content: source(path) })),
      })
    }
    expect(await (await ask('/r/registry.json')).json()).toEqual(list)
    expect((await ask('/r/missing.json')).status).toBe(404)
  })
})

describe('registry.json', () => {
  it('lists the composable and its transports, as the schema wants them', () => {
    expect(list.items.map(({ name }) => name)).toEqual(['use-event-source', 'fetch-transport', 'shared-transport'])
    expect(typeof list.name).toBe('string')
    expect(typeof list.homepage).toBe('string')
    for (const { type, files, registryDependencies } of list.items) {
      expect(type).toBe('registry:composable')
      for (const file of files) expect(file).toEqual({ path: file.path, type: 'registry:composable' })
      // They are addresses, and where this is hosted nobody knows.
      expect(registryDependencies).toBeUndefined()
    }
  })

  it('gives each item all that its files import', () => {
    for (const { files, dependencies = [] } of list.items) {
      const names = files.map(({ path }) => `./${basename(path, '.ts')}`)
      const packages = dependencies.map((dependency) => dependency.replace(/@[^@]*$/, ''))
      const imports = files.flatMap(({ path }) => [...source(path).matchAll(/ from '(.*)'/g)].map(([, name]) => name))
      expect(imports.length).toBeGreaterThan(0)
      for (const name of imports) expect([...names, ...packages, 'vue']).toContain(name)
    }
  })

  it('names the version of a package that is tested here', () => {
    const { devDependencies } = JSON.parse(source('package.json')) as { devDependencies: Record<string, string> }
    const [major] = (devDependencies['eventsource-parser'] ?? '').split('.')
    const dependencies = list.items.flatMap((item) => item.dependencies ?? [])
    expect(dependencies).toEqual([`eventsource-parser@${major ?? ''}`])
  })
})
