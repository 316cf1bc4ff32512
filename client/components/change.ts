const STORED = 'push-token'

/**
 * Asks the server to change something: push, or over. Where the server wants a token, it asks the person once, and keeps it for
 * the tab.
 *
 * @returns an empty text, or why the server refused.
 */
export async function change(path: string, params: Record<string, string>, ask: () => string | null): Promise<string> {
  try {
    const token = sessionStorage.getItem(STORED)
    const response = await fetch(path, {
      method: 'POST',
      headers: token === null ? {} : { Authorization: `Bearer ${token}` },
      body: new URLSearchParams(params),
    })
    if (response.ok) return ''
    if (response.status === 401) {
      sessionStorage.removeItem(STORED)
      const given = ask()
      if (given) {
        sessionStorage.setItem(STORED, given)
        return await change(path, params, ask)
      }
    }
    const { error } = (await response.json()) as { error: { message: string } }
    return error.message
  } catch (error) {
    return String(error)
  }
}
