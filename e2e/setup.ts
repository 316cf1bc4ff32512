import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { compiledPage } from '../server/page'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The path of the compiled harness.ts. */
export const HARNESS = path('../node_modules/.cache/harness.js')

/** Compiles once what all workers serve: the page and the harness. */
export default async function setup(): Promise<void> {
  await (await compiledPage()).close()
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: { write: false, minify: false, lib: { entry: path('./harness.ts'), formats: ['es'] } },
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const [bundle] = result as unknown as { output: { code: string }[] }[]
  await mkdir(dirname(HARNESS), { recursive: true })
  await writeFile(HARNESS, bundle?.output[0]?.code ?? '')
}
