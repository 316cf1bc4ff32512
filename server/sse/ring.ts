const LEAST = 8

/** A queue in a circular array: push, shift and access cost the same whatever its length. */
export class Ring<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(LEAST)
  #first = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  /** The nth item, the oldest being 0. */
  at(n: number): T | undefined {
    // The capacity is a power of two, so the mask is the remainder.
    return n < this.#length ? this.#items[(this.#first + n) & (this.#items.length - 1)] : undefined
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#resize(2 * this.#length)
    this.#items[(this.#first + this.#length) & (this.#items.length - 1)] = item
    this.#length += 1
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const item = this.#items[this.#first]
    this.#items[this.#first] = undefined
    this.#first = (this.#first + 1) & (this.#items.length - 1)
    this.#length -= 1
    if (this.#items.length > LEAST && 4 * this.#length < this.#items.length) this.#resize(this.#items.length / 2)
    return item
  }

  #resize(capacity: number): void {
    const items = new Array<T | undefined>(capacity)
    for (let n = 0; n < this.#length; n++) items[n] = this.at(n)
    this.#items = items
    this.#first = 0
  }
}
