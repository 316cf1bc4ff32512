import type { Hint } from './httpError'

/** Milliseconds between two hints about the same setting: clients decide how often there is a reason. */
const INTERVAL = 60_000

/** Tells the operator, in the log, which setting refused a client, and what could be changed. */
export class OperatorHints {
  readonly #said = new Map<string, number>()

  say({ setting, text }: Hint): void {
    const now = performance.now()
    if (now - (this.#said.get(setting) ?? -INTERVAL) < INTERVAL) return
    this.#said.set(setting, now)
    console.warn(`${setting}: ${text}`)
  }
}
