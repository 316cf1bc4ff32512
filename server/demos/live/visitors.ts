/** Who has the page open. A person with several tabs, or with the same page on several connections, counts once. */
export class Visitors {
  readonly #streams = new Map<string, number>()

  get all(): string[] {
    return [...this.#streams.keys()]
  }

  /** Streams that are open. */
  streams = 0

  /** Returns what to call when the stream has ended. */
  enter(visitor: string): () => void {
    this.streams += 1
    this.#streams.set(visitor, (this.#streams.get(visitor) ?? 0) + 1)
    return () => {
      this.streams -= 1
      const left = (this.#streams.get(visitor) ?? 1) - 1
      if (left > 0) this.#streams.set(visitor, left)
      else this.#streams.delete(visitor)
    }
  }
}
