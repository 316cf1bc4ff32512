import type { Hint } from './httpError'

/** Milliseconds between two hints about one setting: clients must not be able to flood the log. */
const INTERVAL = 60_000

/** Logs which setting refused a client, and what the operator can change. */
export class OperatorHints {
  readonly #said = new Map<string, number>()

  say({ setting, text }: Hint): void {
    const now = performance.now()
    if (now - (this.#said.get(setting) ?? -INTERVAL) < INTERVAL) return
    this.#said.set(setting, now)
    console.warn(`${setting}: ${text}`)
  }
}
