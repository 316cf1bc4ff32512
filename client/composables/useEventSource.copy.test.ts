// @vitest-environment node
/** The promise of the file: copied alone into a project with only `vue`, it compiles, and it is small. */
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { minify, transformWithOxc } from 'vite'
import { strictestOptions } from '../../e2e/strictestOptions'

const file = fileURLToPath(new URL('./useEventSource.ts', import.meta.url))
const packages = fileURLToPath(new URL('../../node_modules', import.meta.url))

let project: string

beforeEach(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), 'copy-')))
})

afterEach(() => {
  rmSync(project, { recursive: true })
})

/** The TypeScript compiler's errors in the project; empty if there are none. */
function compile(): string {
  try {
    execFileSync(process.execPath, [join(packages, 'typescript/bin/tsc')], { cwd: project, encoding: 'utf8' })
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

function writeTsconfig(): void {
  const compilerOptions = {
    target: 'es2020',
    lib: ['es2020', 'dom', 'dom.iterable'],
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
    declaration: true,
    outDir: 'out',
    isolatedDeclarations: true,
    ...strictestOptions,
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['use.ts'] }))
}

describe.each([
  ['the newest Vue 3.5', 'vue'],
  ['Vue 3.3.0', 'vue-3.3'],
])('with %s', (_name, vue) => {
  it('it compiles under the strictest flags, and a wrong use does not', { timeout: 60_000 }, () => {
    mkdirSync(join(project, 'node_modules'))
    symlinkSync(join(packages, vue), join(project, 'node_modules/vue'), 'junction')
    copyFileSync(file, join(project, 'useEventSource.ts'))
    writeFileSync(
      join(project, 'use.ts'),
      `import { useEventSource } from './useEventSource'
       const { content } = useEventSource('/sse', { decode: { n: Number }, initial: 0, reduce: (sum) => sum + 1 })
       export const sum: number = content.value
       export const text: number = useEventSource('/sse').content.value`,
    )
    writeTsconfig()
    expect(compile()).toBe("use.ts(4,21): error TS2322: Type 'string' is not assignable to type 'number'.\n")
  })
})

describe('its transports, copied beside it', () => {
  it('compile under the strictest flags, with the one package that fetchTransport names', { timeout: 60_000 }, () => {
    mkdirSync(join(project, 'node_modules'))
    for (const name of ['vue', 'eventsource-parser'])
      symlinkSync(join(packages, name), join(project, 'node_modules', name), 'junction')
    for (const name of ['useEventSource.ts', 'fetchTransport.ts', 'sharedTransport.ts'])
      copyFileSync(join(dirname(file), name), join(project, name))
    writeFileSync(
      join(project, 'use.ts'),
      `import { fetchTransport } from './fetchTransport'
       import { sharedTransport } from './sharedTransport'
       import { useEventSource } from './useEventSource'
       useEventSource('/sse', { transport: sharedTransport({ scope: 'me', transport: fetchTransport() }) }).start()`,
    )
    writeTsconfig()
    expect(compile()).toBe('')
  })
})

describe('minified and gzipped', () => {
  it('it is at most 4.2 kB', async () => {
    const { code } = await transformWithOxc(readFileSync(file, 'utf8'), file)
    const { code: small } = await minify('useEventSource.js', code, { module: true })
    const bytes = gzipSync(small, { level: 9 }).length
    expect(bytes).toBeGreaterThan(1_000)
    expect(bytes).toBeLessThanOrEqual(4_200)
  })
})
