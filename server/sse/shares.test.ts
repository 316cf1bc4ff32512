import { expect, it } from 'vitest'
import { Shares } from './shares'

it('gives one client a half, two a third each, and never more than there is', () => {
  const shares = new Shares(60)
  const fill = (client: string): number => {
    let held = 0
    for (; shares.refusal(1, client) === null; held++) shares.add(1, client)
    return held
  }
  expect(fill('a')).toBe(30)
  shares.add(-10, 'a')
  expect([fill('b'), fill('a')]).toEqual([20, 0])
  expect(shares.refusal(1, 'a')).toBe('share')
  expect(shares.refusal(1, 'newcomer')).toBe(null)
  expect(shares.refusal(20)).toBe(null)
  expect(shares.refusal(21)).toBe('full')
  shares.add(-20, 'b')
  expect(shares.refusal(20, 'a')).toBe(null)
  expect(shares.used).toBe(20)
})
