import { onScopeDispose, readonly, ref, type Ref } from 'vue'

export const THEMES = ['light', 'dark', 'system'] as const

export type Theme = (typeof THEMES)[number]

const STORED = 'theme'

const root = document.documentElement
// public/theme.js has set it before the first paint.
const theme = ref<Theme>(themeOf(root.dataset['theme']) ?? 'system')
const darkSystem = matchMedia('(prefers-color-scheme: dark)')
const listeners = new Set<() => void>()
darkSystem.addEventListener('change', () => listeners.forEach((listener) => listener()))

/** Validates the name of a theme. */
export function themeOf(name: unknown): Theme | undefined {
  return THEMES.find((one) => one === name)
}

/** The theme of the site: light, dark, or the system's. */
export function useTheme(): {
  theme: Readonly<Ref<Theme>>
  show: (theme: Theme) => void
  keep: (theme: Theme) => void
} {
  /** Applies a theme for this visit. */
  function show(next: Theme): void {
    if (next === theme.value) return
    theme.value = next
    if (next === 'system') delete root.dataset['theme']
    else root.dataset['theme'] = next
    listeners.forEach((listener) => listener())
  }

  /** Remembers the theme for later visits. */
  function keep(next: Theme): void {
    show(next)
    try {
      if (next === 'system') localStorage.removeItem(STORED)
      else localStorage.setItem(STORED, next)
    } catch {
      // Storage may be disabled.
    }
  }

  return { theme: readonly(theme), show, keep }
}

/** Calls back when the page's colours change, for drawings on a canvas. */
export function onColoursChange(listener: () => void): void {
  listeners.add(listener)
  onScopeDispose(() => listeners.delete(listener))
}
