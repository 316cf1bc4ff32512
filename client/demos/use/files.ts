import type { Code } from '../../site/code'

type Load = () => Promise<Code>

/** A file to copy. */
export interface CopiedFile {
  /** The file name. */
  name: string
  load: Load
}

/** Files that belong together, described by the text `use.parts.<part>`. */
export interface Part {
  part: 'composable' | 'fetch' | 'shared' | 'server'
  /** The item of the registry: see registry.json. */
  item: string
  files: readonly CopiedFile[]
}

const client = import.meta.glob<Code>('../../composables/{useEventSource,fetchTransport,sharedTransport}.ts', {
  query: '?code',
  import: 'default',
})
const server = import.meta.glob<Code>(['../../../server/sse/*.ts', '!../../../server/sse/*.test.ts'], {
  query: '?code',
  import: 'default',
})

const filesOf = (modules: Record<string, Load>, wanted = ''): CopiedFile[] =>
  Object.entries(modules)
    .map(([path, load]) => ({ name: path.slice(path.lastIndexOf('/') + 1), load }))
    .filter(({ name }) => wanted === '' || name === wanted)

export const PARTS: readonly Part[] = [
  { part: 'composable', item: 'use-event-source', files: filesOf(client, 'useEventSource.ts') },
  { part: 'fetch', item: 'fetch-transport', files: filesOf(client, 'fetchTransport.ts') },
  { part: 'shared', item: 'shared-transport', files: filesOf(client, 'sharedTransport.ts') },
  { part: 'server', item: 'sse-server', files: filesOf(server) },
]
