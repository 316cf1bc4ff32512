// @vitest-environment node
/** The code in the README compiles, and is the same in both languages. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The code blocks of a README in these languages. */
function blocks(file: string, languages: string): { language: string; code: string }[] {
  const text = readFileSync(root + file, 'utf8')
  return [...text.matchAll(new RegExp(`^\`\`\`(${languages})\\n(.*?)^\`\`\`$`, 'gms'))].map(
    ([, language = '', code = '']) => ({ language, code }),
  )
}

/** The surroundings of a TypeScript fragment in the reader's project. */
const AROUND = `
  import { fetchTransport } from './fetchTransport'
  import { sharedTransport } from './sharedTransport'
  import { nativeTransport, useEventSource } from './useEventSource'
  import { SseEmitter } from './sse/emitter.js'
  import { Hub } from './sse/hub.js'
  import { MemoryEventLog } from './sse/memoryEventLog.js'
  import { nodeSink } from './sse/nodeSink.js'
  declare const res: import('node:http').ServerResponse
  declare const priceSchema: { parse: (value: unknown) => { symbol: string; value: number } }
  declare const chart: { add: (price: { symbol: string; value: number }) => void }
  declare const user: { id: string }
  declare function freshToken(): Promise<string>
`

it('the code in README.md compiles', { timeout: 60_000 }, () => {
  const project = realpathSync(mkdtempSync(join(tmpdir(), 'readme-')))
  onTestFinished(() => rmSync(project, { recursive: true }))
  symlinkSync(join(root, 'node_modules'), join(project, 'node_modules'), 'junction')
  for (const name of ['useEventSource.ts', 'fetchTransport.ts', 'sharedTransport.ts'])
    cpSync(join(root, 'client/composables', name), join(project, name))
  cpSync(join(root, 'server/sse'), join(project, 'sse'), {
    recursive: true,
    filter: (source) => !source.endsWith('.test.ts'),
  })
  const files = blocks('README.md', 'vue|ts').map(({ language, code }, n) => {
    // A block that names its file is complete.
    const [, named] = /^\/\/ ([\w.]+\.ts)\b/.exec(code) ?? []
    const name = named ?? `block${n}.${language}`
    writeFileSync(join(project, name), language === 'vue' || named ? code : `${AROUND}\n${code}`)
    return name
  })
  expect(files.length).toBeGreaterThan(3)
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  let errors = ''
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/vue-tsc/bin/vue-tsc.js'), '-p', project])
  } catch (error) {
    errors = String((error as { stdout: Buffer }).stdout)
  }
  expect(errors).toBe('')
})

it('both READMEs have the same code, but for its comments', () => {
  const [english, chinese] = ['README.md', 'README.zh-CN.md'].map((file) =>
    blocks(file, 'vue|ts|sh').map(({ code }) => code.replace(/ *(\/\/|# ).*$/gm, '')),
  )
  expect(chinese).toEqual(english)
})
