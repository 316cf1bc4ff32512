import { readonly, shallowRef, type Ref } from 'vue'
import type { Messages } from './locales/en'

export type Language = 'en' | 'zh-CN'

type Leaves<Tree, Path extends string = ''> = {
  [Key in keyof Tree & string]: Tree[Key] extends string ? `${Path}${Key}` : Leaves<Tree[Key], `${Path}${Key}.`>
}[keyof Tree & string]

/** What a text is called, `status.open`. */
export type TextKey = Leaves<Messages>

export type Translate = (key: TextKey, values?: Readonly<Record<string, string | number>>) => string

interface Tree {
  readonly [key: string]: string | Tree
}

const STORED = 'language'

/** Only the language that is read is loaded. */
const load: Record<Language, () => Promise<Messages>> = {
  en: async () => (await import('./locales/en')).en,
  'zh-CN': async () => (await import('./locales/zh-CN')).zhCN,
}

const locale = shallowRef<Language>('en')
const messages = shallowRef<Messages | null>(null)

/** The texts of the page in the reader's language, as of now: in a template or a `computed`, they follow it. */
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

/** Shows everything in that language, as soon as its texts are there. */
export async function speak(language: Language): Promise<void> {
  messages.value = await load[language]()
  locale.value = language
  document.documentElement.lang = language
}

/** The language that a tag such as `zh-TW` or `en-GB` asks for; undefined for any other. */
export function languageOf(tag: unknown): Language | undefined {
  if (typeof tag !== 'string') return undefined
  return /^en\b/i.test(tag) ? 'en' : /^zh\b/i.test(tag) ? 'zh-CN' : undefined
}

/** What the address says, else what the reader chose before, else the browser's first language that there is, else English. */
export function preferredLanguage(): Language {
  const tags = [new URLSearchParams(location.search).get('lang'), storedLanguage(), ...navigator.languages]
  return tags.map(languageOf).find((language) => language !== undefined) ?? 'en'
}

/** At later visits too. */
export function keepLanguage(language: Language): void {
  try {
    localStorage.setItem(STORED, language)
  } catch {
    // Storage may be forbidden.
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

/** A text with its placeholders, `{name}`, filled. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (placeholder, name: string) => String(values[name] ?? placeholder))
}
