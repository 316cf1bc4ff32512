import fc from 'fast-check'
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
