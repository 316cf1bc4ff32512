/** For tests: what a screen receives when some changes could not be announced, and a late snapshot made up for them. */

/** A database, and what it would announce. */
interface Model<Event> {
  readonly announced: readonly Event[]
  readonly snapshot: Event
}

/**
 * Performs all actions and returns the events of one screen: a snapshot, some of the changes after it, and a late snapshot among newer
 * changes, twice. `at` are four random numbers.
 */
export function withLateSnapshot<Action, Event extends { data: object }>(
  model: Model<Event>,
  actions: readonly Action[],
  at: readonly number[],
  perform: (action: Action) => void,
): Event[] {
  const [first = 0, second = 0, third = 0] = at.map((n) => n % (actions.length + 1)).sort((a, b) => a - b)
  actions.slice(0, first).forEach(perform)
  const { snapshot } = model
  const missed = model.announced.length
  actions.slice(first, second).forEach(perform)
  // What nobody announced is in the late snapshot, which is announced after some of what is newer.
  const unannounced = model.announced.length
  const late = { ...model.snapshot, data: { ...model.snapshot.data, late: true } }
  actions.slice(second, third).forEach(perform)
  const overtaking = model.announced.length
  actions.slice(third).forEach(perform)
  const some = model.announced.slice(missed, unannounced).filter((_, n) => (n + (at[3] ?? 0)) % 2 === 0)
  return [
    snapshot,
    ...some,
    ...model.announced.slice(unannounced, overtaking),
    late,
    ...model.announced.slice(overtaking),
    late,
  ]
}
