import { watchEffect } from 'vue'
import { createI18n } from 'vue-i18n'
import { en } from './locales/en'
import { zhCN } from './locales/zh-CN'

const STORED = 'language'

/** What the reader chose before, else the browser's first language that there is, else English. */
function preferred(): 'en' | 'zh-CN' {
  const wanted = [localStorage.getItem(STORED), ...navigator.languages].find((tag) => /^(en|zh)\b/.test(tag ?? ''))
  return wanted?.startsWith('zh') ? 'zh-CN' : 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: preferred(),
  messages: { en, 'zh-CN': zhCN },
  // The browser tests look for it.
  missing: (missing, key) => console.error(`No message ${key} in ${missing}.`),
})

/** The other language, from now on and at the next visit. */
export function switchLanguage(): void {
  const { locale } = i18n.global
  locale.value = locale.value === 'en' ? 'zh-CN' : 'en'
  localStorage.setItem(STORED, locale.value)
}

watchEffect(() => {
  document.documentElement.lang = i18n.global.locale.value
})
