import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { build } from 'vite'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { textOf, type Code, type Token } from '../client/site/code'
import { code } from './code.ts'
import { tokensOf } from './tokens.ts'

// The grammars are compiled first, on a machine that may be busy.
vi.setConfig({ testTimeout: 60_000 })

const root = fileURLToPath(new URL('..', import.meta.url))
let folder: string
let cache: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'code-'))
  cache = join(folder, 'cache')
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

/** The result of importing these files with `?code`. */
async function imported(...files: string[]): Promise<Code[]> {
  const entry = join(folder, 'entry.js')
  const names = files.map((_file, n) => `code${n}`)
  const imports = files.map((file, n) => `import code${n} from ${JSON.stringify(`${file}?code`)}`)
  writeFileSync(entry, `${imports.join('\n')}\nexport const all = [${names.join()}]`)
  const output = join(folder, 'out.mjs')
  await build({
    configFile: false,
    logLevel: 'silent',
    plugins: [vue(), code(root, cache)],
    build: { outDir: folder, emptyOutDir: false, lib: { entry, formats: ['es'], fileName: () => 'out.mjs' } },
  })
  const module = (await import(`${output}?${Math.random()}`)) as { all: Code[] }
  return module.all
}

const shown = ['client/demos', 'server/demos'].flatMap((room) =>
  readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|vue)$/.test(name))
    .map((name) => `${room}/${name.replaceAll('\\', '/')}`),
)

describe('import with ?code', () => {
  it('has every character of the file, and its path from the root of the repository', async () => {
    const all = await imported(...shown.map((file) => join(root, file)))
    expect(shown.length).toBeGreaterThan(10)
    for (const [n, file] of shown.entries()) {
      expect(all[n]?.file).toBe(file)
      expect(all[n] && textOf(all[n])).toBe(readFileSync(join(root, file), 'utf8'))
    }
  })

  it('shows the current file, even if an earlier version is cached', async () => {
    const file = join(folder, 'file.ts')
    for (const text of ['const a = 1\n', 'const b = 2\n', 'const a = 1\n']) {
      writeFileSync(file, text)
      expect((await imported(file)).map(textOf)).toEqual([text])
    }
  })

  it('of another kind of file fails, and names the supported ones', async () => {
    const file = join(folder, 'file.css')
    writeFileSync(file, '')
    await expect(imported(file)).rejects.toThrow('file.css?code: only .ts and .vue can be shown.')
  })
})

describe('tokens', () => {
  /** The text of each kind, in order. */
  function kinds(lines: Token[][]): Record<string, string[]> {
    const found: Record<string, string[]> = {}
    for (const token of lines.flat()) {
      const [kind, text] = typeof token === 'string' ? ['plain', token] : token
      if (text.trim() !== '') (found[kind] ??= []).push(text.trim())
    }
    return found
  }

  it('have the few kinds that readers of TypeScript tell apart', async () => {
    const source = '/** @default 1 */\nexport const f = (s: Set<x>) => g(`a${s.size}`, true)\n'
    expect(kinds(await tokensOf(source, 'typescript', cache))).toEqual({
      comment: ['/** @default 1 */'],
      keyword: ['export const'],
      name: ['f', 'Set', 'x', 'g'],
      punctuation: ['= (', ':', '<', '>) =>', '(', '${', '.', '}', ',', ')'],
      string: ['`a', '`'],
      plain: ['s', 's', 'size'],
      constant: ['true'],
    })
  })

  it('cover tags, attributes and TypeScript in a component', async () => {
    const source =
      '<script setup lang="ts">\nconst a = 1\n</script>\n\n<template>\n  <p :id="a">{{ a }}</p>\n</template>\n'
    expect(kinds(await tokensOf(source, 'vue', cache))).toMatchObject({
      tag: ['script', 'script', 'template', 'p', 'p', 'template'],
      attribute: ['setup lang', ':id'],
      keyword: ['const'],
      constant: ['1'],
    })
  })

  it('are computed again if the cached ones are incomplete', async () => {
    const lines = await tokensOf('const a = 1\n', 'typescript', cache)
    const [kept = ''] = readdirSync(cache)
    truncateSync(join(cache, kept), 5)
    expect(await tokensOf('const a = 1\n', 'typescript', cache)).toEqual(lines)
    expect(await tokensOf('const a = 1\n', 'typescript', cache)).toEqual(lines)
  })
})

it('colours a file completely, even on a machine so slow that every line takes seconds', async () => {
  const source = '<script setup lang="ts">\nimport { ref } from \'vue\'\nconst n = ref(1)\n</script>\n'
  const normal = await tokensOf(source, 'vue', cache)
  let now = Date.now()
  const clock = vi.spyOn(Date, 'now').mockImplementation(() => (now += 1_000))
  onTestFinished(() => clock.mockRestore())
  expect(await tokensOf(source, 'vue', `${cache}-slow`)).toEqual(normal)
  expect(normal[1]?.[0]).toEqual(['keyword', 'import '])
})
