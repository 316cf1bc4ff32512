/** For tests: the files that a recipe tells people to write, and projects built from them. */
import { once } from 'node:events'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { strictestOptions } from '../../e2e/strictestOptions'

const folder = fileURLToPath(new URL('.', import.meta.url))
const root = join(folder, '../..')

export interface Block {
  language: string
  /** Where it belongs in the reader's project; empty for a command or a fragment. */
  file: string
  code: string
  /** What the reader sees just above it. */
  above: string
}

/** All pages, by the name of their file. */
export function pages(): string[] {
  return readdirSync(folder).filter((name) => name.endsWith('.md'))
}

export function textOf(page: string): string {
  return readFileSync(join(folder, page), 'utf8')
}

/** The blocks of code of a page, in order. The name of a file follows the language: ```ts src/main.ts */
export function blocksOf(page: string): Block[] {
  const text = textOf(page)
  return [...text.matchAll(/^```(\w+) ?(\S*)\n(.*?)^```$/gms)].map((match) => {
    const [, language = '', file = '', code = ''] = match
    return { language, file, code, above: text.slice(0, match.index).trimEnd().split('\n\n').at(-1) ?? '' }
  })
}

/** The part of `npm create vite`'s output that recipes may rely on. */
const TEMPLATE: Record<string, string> = {
  'src/App.vue': '<template>Hello</template>\n',
  'package.json': '{ "type": "module" }',
  'index.html': `<!doctype html><link rel="icon" href="data:,"><div id="app"></div><script type="module" src="/src/main.ts"></script>`,
  'src/main.ts': `import { createApp } from 'vue'\nimport App from './App.vue'\n\ncreateApp(App).mount('#app')\n`,
}

const COMPILER_OPTIONS = {
  target: 'es2023',
  lib: ['es2023', 'dom', 'dom.iterable'],
  module: 'esnext',
  moduleResolution: 'bundler',
  types: ['vite/client', 'node'],
  noEmit: true,
  ...strictestOptions,
}

/**
 * A folder for projects of recipes, with this project's packages and a `tsconfig.json` for all of them. Whoever calls it removes it.
 */
export function workspace(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'recipes-')))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const include = ['*/src/**/*.ts', '*/src/**/*.vue', '*/server/**/*.ts', '*/*.ts']
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include }))
  return folder
}

/**
 * Writes a project with the files of README.md and of a page, and returns its folder, which has the page's name unless another is
 * given. `edit` may change a file, for example to another port.
 */
export function writeRecipe(
  into: string,
  page: string,
  edit: (code: string) => string = (code) => code,
  name: string = page.replace('.md', ''),
): string {
  const project = join(into, name)
  const copy = (from: string, to: string): void => {
    cpSync(join(root, from), join(project, to), { recursive: true, filter: (name) => !name.includes('.test.') })
  }
  for (const name of ['useEventSource.ts', 'fetchTransport.ts', 'sharedTransport.ts', 'scriptedTransport.ts'])
    copy(`client/composables/${name}`, `src/composables/${name}`)
  const blocks = [...blocksOf('README.md'), ...blocksOf(page)].filter(({ file }) => file)
  if (blocks.some(({ code }) => code.includes('/sse/'))) copy('server/sse', 'server/sse')
  const files = { ...TEMPLATE, ...Object.fromEntries(blocks.map(({ file, code }) => [file, code])) }
  for (const [file, code] of Object.entries(files)) {
    mkdirSync(dirname(join(project, file)), { recursive: true })
    writeFileSync(join(project, file), edit(code))
  }
  return project
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}
