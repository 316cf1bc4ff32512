/** Who has the page open. A person with several tabs, or with the same page on several connections, counts once. */
export class Visitors {
  readonly #streams = new Map<string, number>()

  get size(): number {
    return this.#streams.size
  }

  /** Returns what to call when the stream has ended. */
  enter(visitor: string): () => void {
    this.#streams.set(visitor, (this.#streams.get(visitor) ?? 0) + 1)
    return () => {
      const left = (this.#streams.get(visitor) ?? 1) - 1
      if (left > 0) this.#streams.set(visitor, left)
      else this.#streams.delete(visitor)
    }
  }
}
