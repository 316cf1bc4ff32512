import { useI18n } from './i18n'
import { useServerError } from './useServerError'

const STORED = 'push-token'

/** The result of an action. */
export interface Outcome {
  /** Why it failed, in the reader's language; empty on success. */
  error: string
  /** The HTTP status, or 0 without a response. */
  status: number
  /** The parsed JSON response, or null. */
  answer: unknown
}

/**
 * Sends state-changing requests: push, close, cut. If the server requires a token, the reader is prompted once, and the token is kept
 * for this tab.
 */
export function useServerAction(): (path: string, params: Record<string, string>, method?: string) => Promise<Outcome> {
  const { t } = useI18n()
  const messageOf = useServerError()

  async function change(path: string, params: Record<string, string>, method: string = 'POST'): Promise<Outcome> {
    const token = sessionStorage.getItem(STORED)
    let response: Response
    let answer: unknown
    try {
      response = await fetch(path, {
        method,
        headers: { Accept: 'application/json', ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
        ...(method === 'DELETE' ? {} : { body: new URLSearchParams(params) }),
      })
      answer = await jsonOf(response)
    } catch {
      // Browsers reveal no more than that, each in its own wording.
      return { error: t('push.unreachable'), status: 0, answer: null }
    }
    const { status } = response
    if (response.ok) return { error: '', status, answer }
    if (status === 401) {
      sessionStorage.removeItem(STORED)
      const given = prompt(t('push.token'))
      if (given) {
        sessionStorage.setItem(STORED, given)
        return change(path, params, method)
      }
    }
    return { error: messageOf(answer) ?? t('push.refused', { status }), status, answer }
  }

  return change
}

async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text()
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
