import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope } from 'vue'
import { useAge } from './useAge'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it('is the time since something was heard, also when the clock is set forward or back', () => {
  const scope = effectScope()
  const { age, renew } = scope.run(useAge) ?? expect.unreachable()
  vi.advanceTimersByTime(5_000)
  expect(age.value).toBe(5)
  // A machine that slept.
  vi.setSystemTime(Date.now() + 60_000)
  vi.advanceTimersByTime(500)
  expect(age.value).toBeGreaterThanOrEqual(65)
  vi.setSystemTime(Date.now() - 3_600_000)
  vi.advanceTimersByTime(10_000)
  expect(age.value).toBeGreaterThanOrEqual(74)
  renew()
  expect(age.value).toBe(0)
  scope.stop()
  expect(vi.getTimerCount()).toBe(0)
})
