import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Seconds since something was last heard. Call `renew` whenever it is. */
export function useAge(): { age: Readonly<Ref<number>>; renew: () => void } {
  const age = ref(0)
  let renewedAt = Date.now()
  // The clock of the wall goes on while a machine sleeps.
  const timer = setInterval(() => {
    const now = Date.now()
    // A clock that was set back takes that moment with it.
    if (now < renewedAt) renewedAt = now - age.value * 1_000
    age.value = Math.round((now - renewedAt) / 1_000)
  }, 500)
  onScopeDispose(() => clearInterval(timer))
  return {
    age: readonly(age),
    renew: () => {
      renewedAt = Date.now()
      if (age.value !== 0) age.value = 0
    },
  }
}
