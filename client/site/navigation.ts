import { pages, type PageName } from '../../shared/pages'

/** The groups of pages in reading order. Their titles are the texts `navigation.<group>`. */
export const navigation = [
  { group: 'start', names: ['timestamps', 'channel', 'reconnect'] },
  { group: 'uses', names: ['live', 'inbox', 'answer', 'todos'] },
  { group: 'hood', names: ['wire', 'byHand', 'emitter', 'transports'] },
  { group: 'compared', names: ['comparison'] },
  { group: 'use', names: ['use'] },
] as const satisfies readonly { group: string; names: readonly PageName[] }[]

const order: readonly PageName[] = navigation.flatMap(({ names }): readonly PageName[] => names)

/** The page at a path; undefined if there is none. */
export function pageAt(path: string): PageName | undefined {
  return order.find((name) => pages[name] === path)
}

/** The page to read after this one; undefined after the last. */
export function pageAfter(name: PageName): PageName | undefined {
  return order[order.indexOf(name) + 1]
}
