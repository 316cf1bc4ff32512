import { readFile } from 'node:fs/promises'
import { extname, relative } from 'node:path'
import type { Plugin } from 'vite'
import type { Code } from '../client/site/code'
import { tokensOf, type Language } from './tokens.ts'

const QUERY = '?code'
const PREFIX = '\0code:'
const LANGUAGES: Record<string, Language | undefined> = { '.ts': 'typescript', '.vue': 'vue' }

/**
 * `import code from './file.ts?code'`: the file as `Code`, read when the page is compiled, so that the shown code is the code that runs.
 *
 * @param root the folder that file names are relative to
 * @param cache the folder where tokens are kept
 */
export function code(root: string, cache: string): Plugin {
  return {
    name: 'code',
    enforce: 'pre',
    async resolveId(source, importer) {
      if (!source.endsWith(QUERY)) return null
      const file = await this.resolve(source.slice(0, -QUERY.length), importer)
      // With its own extension, Vite would compile it.
      return file && `${PREFIX}${file.id}.js`
    },
    async load(id) {
      if (!id.startsWith(PREFIX)) return null
      const file = id.slice(PREFIX.length, -'.js'.length)
      const language = LANGUAGES[extname(file)]
      if (!language) throw new Error(`${file}${QUERY}: only .ts and .vue can be shown.`)
      this.addWatchFile(file)
      const lines = await tokensOf(await readFile(file, 'utf8'), language, cache)
      const shown: Code = { file: relative(root, file).replaceAll('\\', '/'), lines }
      return `export default ${JSON.stringify(shown)}`
    },
  }
}
