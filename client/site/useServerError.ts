import { useI18n } from './i18n'

/**
 * Explains an error response in the reader's language, by its `error.code`. For an unknown code, the server's message is quoted.
 *
 * @returns null for a response that is not ours, such as a proxy's error page.
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
