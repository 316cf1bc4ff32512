import { useI18n } from './i18n'
import { useServerError } from './useServerError'

const STORED = 'push-token'

/** What came of a change. */
export interface Outcome {
  /** Why it was not made, in words for the person; empty if it was. */
  error: string
  /** The status of the answer; 0 if there was none. */
  status: number
  /** What the server answered; null if that was no JSON. */
  answer: unknown
}

/**
 * What asks the server to change something: push, over, cut and the like. Where the server wants a token, it asks the person once, and keeps
 * it for the tab.
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
      // Browsers tell scripts no more than that: each in its own English.
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
