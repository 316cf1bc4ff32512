/** Web Locks as a notice board for the tabs of one browser: a lock describes its tab, for as long as the tab exists. */

/** A lock of a tab, readable by other tabs. `client` is the same for all locks of a tab. */
export interface Notice {
  readonly client: string
  readonly parts: readonly unknown[]
}

/** Holds a shared lock. Returns a function that releases it. */
export function post(...parts: readonly string[]): () => void {
  const { promise, resolve } = withResolver()
  navigator.locks.request(JSON.stringify(parts), { mode: 'shared' }, () => promise).catch(() => undefined)
  return resolve
}

/** Takes the lowest number that no other tab has, or 0 if none is free. Returns a function that gives it back. */
export function takeNumber(name: string, most: number, taken: (number: number) => void): () => void {
  const { promise, resolve } = withResolver()
  const gone = new AbortController()
  void (async () => {
    // Lets this page's previous number be released first.
    await Promise.resolve()
    for (let number = 1; number <= most && !gone.signal.aborted; number++) {
      const got = await new Promise<boolean>((answer) => {
        navigator.locks
          .request(JSON.stringify([name, number]), { ifAvailable: true }, (lock) => {
            answer(lock !== null)
            return lock && promise
          })
          .catch(() => answer(false))
      })
      if (got) {
        taken(number)
        return
      }
    }
    if (!gone.signal.aborted) taken(0)
  })()
  return () => {
    gone.abort()
    resolve()
  }
}

/** All held locks whose names are JSON arrays. */
export async function read(): Promise<Notice[]> {
  const { held = [] } = await navigator.locks.query()
  return held.flatMap(({ name = '', clientId: client = '' }) => {
    const parts = arrayIn(name)
    return parts ? [{ client, parts }] : []
  })
}

function arrayIn(text: string): unknown[] | null {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : null
  } catch {
    return null
  }
}

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
