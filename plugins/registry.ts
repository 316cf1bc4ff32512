import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Plugin } from 'vite'

/** The fields of https://shadcn-vue.com/schema/registry.json that this plugin reads; all others are passed on. */
interface Registry {
  items: { name: string; files: { path: string; type: string }[] }[]
}

/**
 * Serves the items of `registry.json` for `shadcn-vue add <address>/r/<name>.json`, with the original files in them, and the list
 * itself as `/r/registry.json`.
 *
 * @param root the folder of `registry.json`, which the paths in it are relative to
 */
export function registry(root: string): Plugin {
  return {
    name: 'registry',
    configureServer({ middlewares }) {
      middlewares.use('/r', (req, res, next) => {
        filesOf(root).then((files) => {
          const file = files.get(req.url?.split('?')[0]?.slice(1) ?? '')
          if (file === undefined) next()
          else res.setHeader('Content-Type', 'application/json; charset=utf-8').end(file)
        }, next)
      })
    },
    async generateBundle() {
      if (this.environment.config.consumer !== 'client') return
      for (const [name, source] of await filesOf(root)) this.emitFile({ type: 'asset', fileName: `r/${name}`, source })
    },
  }
}

/** The files below `/r`, by name. */
async function filesOf(root: string): Promise<Map<string, string>> {
  const list = await readFile(join(root, 'registry.json'), 'utf8')
  const files = new Map([['registry.json', list]])
  for (const item of (JSON.parse(list) as Registry).items) files.set(`${item.name}.json`, await build(root, item))
  return files
}

async function build(root: string, item: Registry['items'][number]): Promise<string> {
  const files = item.files.map(async ({ path, ...file }) => ({
    // The installer would recreate some folders of a path, depending on the project's aliases.
    path: basename(path),
    ...file,
    content: (await readFile(join(root, path), 'utf8')).replaceAll('\r\n', '\n'),
  }))
  const $schema = 'https://shadcn-vue.com/schema/registry-item.json'
  return JSON.stringify({ $schema, ...item, files: await Promise.all(files) }, null, 2)
}
