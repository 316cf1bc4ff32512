import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import type { Plugin } from 'vite'

const FORMS = [
  { ending: '.br', compress: promisify(brotliCompress) },
  { ending: '.gz', compress: promisify(gzip) },
]

/** Bytes below which headers cost more than compression saves. */
const SMALL = 500

/** Writes compressed copies next to every file of the page, so that the server need not compress: see server/page.ts. */
export function compress(): Plugin {
  return {
    name: 'compress',
    apply: 'build',
    applyToEnvironment: ({ config }) => config.consumer === 'client',
    async writeBundle({ dir = '' }, bundle) {
      const files = Object.entries(bundle).map(async ([name, file]) => {
        const content = Buffer.from(file.type === 'chunk' ? file.code : file.source)
        if (content.length < SMALL) return
        await Promise.all(
          FORMS.map(async ({ ending, compress: make }) => writeFile(join(dir, name + ending), await make(content))),
        )
      })
      await Promise.all(files)
    },
  }
}
