import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { ModuleKind, ScriptTarget, transpile } from 'typescript'
import { expect, it } from 'vitest'
import { Ring } from './ring'

it('is a queue', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat(), fc.constant(null)), { maxLength: 200 }), (actions) => {
      const ring = new Ring<number>()
      const model: number[] = []
      for (const action of actions) {
        if (action === null) expect(ring.shift()).toBe(model.shift())
        else {
          ring.push(action)
          model.push(action)
        }
        expect(ring.length).toBe(model.length)
        expect(Array.from({ length: ring.length + 1 }, (_, n) => ring.at(n))).toEqual([...model, undefined])
      }
    }),
  )
})

/** A ring whose arrays count every read, write and removal of their items. */
function countingRing(): { ring: Ring<number>; work: { items: number } } {
  const work = { items: 0 }
  const count = (key: string | symbol): void => {
    if (typeof key === 'string' && /^\d+$/.test(key)) work.items += 1
  }
  const Counting = function (length: number): unknown[] {
    return new Proxy(new Array<unknown>(length), {
      get: (items, key, receiver) => (count(key), Reflect.get(items, key, receiver) as unknown),
      set: (items, key, value, receiver) => (count(key), Reflect.set(items, key, value, receiver)),
      deleteProperty: (items, key) => (count(key), Reflect.deleteProperty(items, key)),
    })
  }
  // Counts only this copy of the module: nothing else in the process uses this Array.
  const exports: { Ring?: typeof Ring } = {}
  const source = readFileSync(new URL('ring.ts', import.meta.url), 'utf8')
  runInNewContext(transpile(source, { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 }), {
    exports,
    Array: Counting,
  })
  if (!exports.Ring) throw new Error('There is no Ring.')
  return { ring: new exports.Ring<number>(), work }
}

it.each([100, 10_000, 100_000])('with %i items takes no more work than a small one', (length) => {
  const { ring, work } = countingRing()
  const workOf = (action: () => unknown): number => {
    const before = work.items
    action()
    return work.items - before
  }
  const fill = workOf(() => {
    for (let n = 0; n < length; n++) ring.push(n)
  })
  expect(fill / length).toBeLessThanOrEqual(5)
  for (let n = 0; n < 100; n++) {
    expect(workOf(() => ring.shift())).toBeLessThanOrEqual(2)
    expect(workOf(() => ring.push(n))).toBe(1)
    expect(workOf(() => ring.at(n))).toBe(1)
  }
  const empty = workOf(() => {
    for (let n = 0; n < length; n++) ring.shift()
  })
  expect(empty / length).toBeLessThanOrEqual(5)
})
