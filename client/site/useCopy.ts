import { onScopeDispose, ref, type Ref } from 'vue'

/** How long the result is shown, in milliseconds. A failure takes longer to read. */
const SHOWN = { copied: 2_000, failed: 10_000 }

/** Browsers offer the clipboard on https and localhost only. */
export const canCopy: boolean = 'clipboard' in navigator

/** Copies text, and reports the outcome for a moment. */
export function useCopy(): {
  outcome: Readonly<Ref<keyof typeof SHOWN | null>>
  copy: (text: string) => Promise<void>
} {
  const outcome = ref<keyof typeof SHOWN | null>(null)
  let timer: ReturnType<typeof setTimeout> | undefined

  async function copy(text: string): Promise<void> {
    clearTimeout(timer)
    const next = await navigator.clipboard.writeText(text).then(
      () => 'copied' as const,
      () => 'failed' as const,
    )
    outcome.value = next
    timer = setTimeout(() => (outcome.value = null), SHOWN[next])
  }

  onScopeDispose(() => clearTimeout(timer))
  return { outcome, copy }
}
