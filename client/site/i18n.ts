import { readonly, shallowRef, type Ref } from 'vue'
import type { Messages } from './locales/en'

export type Language = 'en' | 'zh-CN'

type Leaves<Tree, Path extends string = ''> = {
  [Key in keyof Tree & string]: Tree[Key] extends string ? `${Path}${Key}` : Leaves<Tree[Key], `${Path}${Key}.`>
}[keyof Tree & string]

/** The key of a text, such as `status.open`. */
export type TextKey = Leaves<Messages>

export type Translate = (key: TextKey, values?: Readonly<Record<string, string | number>>) => string

interface Tree {
  readonly [key: string]: string | Tree
}

const STORED = 'language'

/** Only the language in use is loaded. */
const load: Record<Language, () => Promise<Messages>> = {
  en: async () => (await import('./locales/en')).en,
  'zh-CN': async () => (await import('./locales/zh-CN')).zhCN,
}

const locale = shallowRef<Language>('en')
const messages = shallowRef<Messages | null>(null)

/** Translations in the current language, reactive in templates and computed values. */
export function useI18n(): { t: Translate; has: (key: string) => key is TextKey; locale: Readonly<Ref<Language>> } {
  return {
    t: (key, values = {}) => {
      const text = textOf(key)
      // The browser tests look for it.
      if (text === undefined) console.error(`No message ${key} in ${locale.value}.`)
      return fill(text ?? key, values)
    },
    has: (key): key is TextKey => textOf(key) !== undefined,
    locale: readonly(locale),
  }
}

/** Switches the page to a language, once its texts are loaded. */
export async function speak(language: Language): Promise<void> {
  messages.value = await load[language]()
  locale.value = language
  document.documentElement.lang = language
}

/** Maps a language tag such as `zh-TW` or `en-GB` to a language of this site, or undefined. */
export function languageOf(tag: unknown): Language | undefined {
  if (typeof tag !== 'string') return undefined
  return /^en\b/i.test(tag) ? 'en' : /^zh\b/i.test(tag) ? 'zh-CN' : undefined
}

/** From the address, else the reader's earlier choice, else the browser's languages, else English. */
export function preferredLanguage(): Language {
  const tags = [new URLSearchParams(location.search).get('lang'), storedLanguage(), ...navigator.languages]
  return tags.map(languageOf).find((language) => language !== undefined) ?? 'en'
}

/** Remembers the language for later visits. */
export function keepLanguage(language: Language): void {
  try {
    localStorage.setItem(STORED, language)
  } catch {
    // Storage may be disabled.
  }
}

function storedLanguage(): string | null {
  try {
    return localStorage.getItem(STORED)
  } catch {
    return null
  }
}

function textOf(key: string): string | undefined {
  let found: string | Tree | undefined = messages.value ?? {}
  for (const name of key.split('.'))
    found = typeof found === 'object' && Object.hasOwn(found, name) ? found[name] : undefined
  return typeof found === 'string' ? found : undefined
}

/** Fills in the placeholders of a text, `{name}`. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder))
}
