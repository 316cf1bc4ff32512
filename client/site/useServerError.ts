import { useI18n } from './i18n'

/**
 * Says what an answer of the server means, in the reader's language, by its `error.code`. One that the page does not know is quoted.
 *
 * @returns null for an answer that is not the server's, such as a proxy's page.
 */
export function useServerError(): (answer: unknown) => string | null {
  const { t, has } = useI18n()
  return (answer) => {
    const { error } = (answer ?? {}) as { error?: { code?: unknown; message?: unknown } }
    const key = `serverError.${String(error?.code)}`
    if (has(key)) return t(key)
    return typeof error?.message === 'string' ? error.message : null
  }
}
