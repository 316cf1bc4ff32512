import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Change } from './change'
import { ChangeQueue } from './changeQueue'

const add = (id: string): Change => ({ kind: 'add', id, title: id })
const ids = (queue: ChangeQueue): string[] => queue.all().map(({ change }) => ('id' in change ? change.id : ''))

beforeEach(() => {
  localStorage.clear()
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

it('is kept by the browser in its order, of each list for itself, for all tabs', () => {
  const [one, two, other] = [new ChangeQueue('a'), new ChangeQueue('a'), new ChangeQueue('ab')]
  for (let n = 0; n < 12; n++) expect((n % 2 ? one : two).add(add(`${n}`))).toBe(true)
  other.add(add('other'))
  const all = Array.from({ length: 12 }, (_, n) => `${n}`)
  for (const queue of [one, two, new ChangeQueue('a')]) expect(ids(queue)).toEqual(all)
  one.remove(one.all()[0]?.key ?? '')
  expect(ids(two)).toEqual(all.slice(1))
  expect(ids(other)).toEqual(['other'])
})

it('keeps its order when the clock is set back', () => {
  const queue = new ChangeQueue('a')
  for (const [n, time] of [5_000_000, 1_000_000, 1_000_001, 6_000_000].entries()) {
    vi.setSystemTime(time)
    queue.add(add(`${n}`))
  }
  expect(ids(queue)).toEqual(['0', '1', '2', '3'])
})

it('refuses what it has no room for, and keeps the rest', () => {
  const storage = localStorage
  let isFull = false
  const setItem = (key: string, value: string): void => {
    if (isFull) throw new DOMException('Full.', 'QuotaExceededError')
    storage.setItem(key, value)
  }
  const getItem = storage.getItem.bind(storage)
  const removeItem = storage.removeItem.bind(storage)
  const methods = { setItem, getItem, removeItem }
  vi.stubGlobal(
    'localStorage',
    new Proxy(storage, { get: (_, name) => Reflect.get(name in methods ? methods : storage, name) as unknown }),
  )
  const queue = new ChangeQueue('a')
  expect(queue.add(add('kept'))).toBe(true)
  isFull = true
  expect(queue.add(add('lost'))).toBe(false)
  isFull = false
  for (let n = 1; n < 200; n++) expect(queue.add(add(`${n}`))).toBe(true)
  expect(queue.add(add('one too many'))).toBe(false)
  expect(ids(queue)).toEqual(['kept', ...Array.from({ length: 199 }, (_, n) => `${n + 1}`)])
})
