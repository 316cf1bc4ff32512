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
  #count = 0

  constructor(list: string) {
    this.#prefix = `todos ${list} `
    this.#storage = storage()
  }

  /** False when too many wait. */
  add(change: Change): boolean {
    if (this.all().length >= MAX_PENDING) return false
    const order = [Date.now(), this.#count++].map((number) => String(number).padStart(15, '0')).join(' ')
    const key = `${this.#prefix}${order} ${this.#tab}`
    if (this.#storage instanceof Map) this.#storage.set(key, JSON.stringify(change))
    else this.#storage.setItem(key, JSON.stringify(change))
    return true
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
