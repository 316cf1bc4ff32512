const STORED = 'visitor'

/** What this browser is called, so that all its tabs count as one person: a number, which says nothing else. */
export function visitor(): string {
  try {
    const id = localStorage.getItem(STORED) ?? crypto.randomUUID()
    localStorage.setItem(STORED, id)
    return id
  } catch {
    // Where storage is forbidden, a tab is a person.
    return crypto.randomUUID()
  }
}
