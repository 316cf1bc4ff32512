import type { Change } from './change'

/** A change that the server has not answered yet. */
export interface Pending {
  key: string
  change: Change
}

/** Changes that may wait at once. */
const MAX_PENDING = 200

/**
 * The changes of a list that wait to be sent, in their order, kept in the browser for all its tabs. Each is an entry of its own: no tab
 * has to read what another writes before it writes itself.
 */
export class ChangeQueue {
  readonly #prefix: string
  readonly #storage: Storage | Map<string, string>
  readonly #tab = crypto.randomUUID()

  constructor(list: string) {
    this.#prefix = `todos ${list} `
    this.#storage = storage()
  }

  /** False when too many wait, or the browser has no room. */
  add(change: Change): boolean {
    const waiting = this.all()
    if (waiting.length >= MAX_PENDING) return false
    // After all that wait already, also where the clock was set back.
    const newest = Number(waiting.at(-1)?.key.slice(this.#prefix.length).split(' ')[0] ?? 0)
    const order = String(Math.max(Date.now(), newest + 1)).padStart(15, '0')
    const key = `${this.#prefix}${order} ${this.#tab}`
    try {
      if (this.#storage instanceof Map) this.#storage.set(key, JSON.stringify(change))
      else this.#storage.setItem(key, JSON.stringify(change))
      return true
    } catch {
      return false
    }
  }

  all(): Pending[] {
    const entries = this.#storage instanceof Map ? [...this.#storage] : Object.entries(this.#storage)
    return (entries as [string, string][])
      .filter(([key]) => key.startsWith(this.#prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, text]) => ({ key, change: JSON.parse(text) as Change }))
  }

  remove(key: string): void {
    if (this.#storage instanceof Map) this.#storage.delete(key)
    else this.#storage.removeItem(key)
  }

  /** Only one tab sends at a time, so that the order is kept. */
  async alone(send: () => Promise<void>): Promise<void> {
    // Browsers have locks on https and on localhost only.
    if ('locks' in navigator) await navigator.locks.request(`${this.#prefix}sending`, send)
    else await send()
  }

  /** Calls back when another tab has added or removed a change. */
  watch(onChange: () => void, signal: AbortSignal): void {
    addEventListener('storage', ({ key }) => key?.startsWith(this.#prefix) !== false && onChange(), { signal })
  }
}

/** Where a browser forbids storage, what waits is lost with the tab. */
function storage(): Storage | Map<string, string> {
  try {
    localStorage.setItem('todos', '')
    localStorage.removeItem('todos')
    return localStorage
  } catch {
    return new Map()
  }
}
