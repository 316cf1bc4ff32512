/**
 * A bounded amount, shared among clients. One client may hold as much as is still free: one client alone gets up to half, two a
 * third each, and however many there are, a newcomer still finds room when the heaviest no longer do. Amounts without a client
 * are limited only by the whole.
 */
export class Shares {
  readonly max: number
  #used = 0
  readonly #held = new Map<string, number>()

  constructor(max: number) {
    this.max = max
  }

  get used(): number {
    return this.#used
  }

  /** Why there is no room for `amount` more: the whole is full, or this client has used up its share. */
  refusal(amount: number, client?: string): 'full' | 'share' | null {
    const free = this.max - this.#used
    if (amount > free) return 'full'
    return client !== undefined && (this.#held.get(client) ?? 0) + amount > free ? 'share' : null
  }

  /** Whether there is room for `amount` more in a reserve beyond the whole, a sixteenth of it. */
  hasReserve(amount: number): boolean {
    return this.#used + amount <= this.max + Math.ceil(this.max / 16)
  }

  /** A negative amount is returned. */
  add(amount: number, client?: string): void {
    this.#used += amount
    if (client === undefined) return
    const held = (this.#held.get(client) ?? 0) + amount
    if (held > 0) this.#held.set(client, held)
    else this.#held.delete(client)
  }

  clear(): void {
    this.#used = 0
    this.#held.clear()
  }
}
