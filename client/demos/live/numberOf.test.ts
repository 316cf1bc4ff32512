import { expect, it } from 'vitest'
import { euros, numberOf } from './numberOf'

it.each([0, 7, 999, 1_000, 12_345, 999_999, 1_000_000, 1_234_567_890])('writes %d as Intl does', (value) => {
  for (const language of ['en', 'zh-CN']) {
    expect(numberOf(value)).toBe(new Intl.NumberFormat(language).format(value))
    const money = new Intl.NumberFormat(language, { style: 'currency', currency: 'EUR' })
    expect(euros(value)).toBe(money.format(value / 100))
  }
})
