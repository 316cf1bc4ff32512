import { shallowRef, type ShallowRef } from 'vue'
import {
  TECHNIQUES,
  type ComparisonFigures,
  type Technique,
  type TechniqueFigures,
} from '../../../shared/demos/comparison'
import { ClockOffset, pageClock } from './clockOffset'
import { Lane } from './lane'
import { Tally } from './tally'

/** How many updates the plots show: one minute. */
const PLOTTED = 120

/** The current figures of one technique. */
export interface TechniqueRow extends TechniqueFigures {
  received: number
  missed: number
  cuts: number
  /** Milliseconds; null before the first event. */
  median: number | null
  p95: number | null
  /** Bytes per event beyond the event's own text; null before the first event. */
  overhead: number | null
}

/** The plotted data: seconds since the start, and the value of every technique at each of them. */
export interface History {
  times: number[]
  delay: Record<Technique, (number | null)[]>
  overhead: Record<Technique, (number | null)[]>
}

const NOTHING: TechniqueFigures = { requests: 0, empty: 0, events: 0, eventBytes: 0, up: 0, down: 0 }

export const each = <Value>(make: (technique: Technique) => Value): Record<Technique, Value> =>
  Object.fromEntries(TECHNIQUES.map((technique) => [technique, make(technique)])) as Record<Technique, Value>

/** What arrived during a run, and what it cost according to the server. Published by `look`, not with each event. */
export class Measurements {
  #clock = new ClockOffset()
  #figures: ComparisonFigures | null = null
  /** The figures at the last reset, which count as 0. */
  #zero: ComparisonFigures | null = null
  #began = 0
  readonly tallies: Record<Technique, Tally> = each(() => new Tally())
  readonly lanes: Record<Technique, Lane> = each(() => new Lane())
  readonly rows: ShallowRef<Record<Technique, TechniqueRow>> = shallowRef(each((technique) => this.#row(technique)))
  readonly history: ShallowRef<History> = shallowRef(emptyHistory())
  /** Retried deliveries of the webhook. */
  readonly repeated: ShallowRef<number> = shallowRef(0)
  /** The number of the newest event known to have reached the webhook's receiver. */
  delivered = 0

  /** For a new run. */
  begin(): void {
    this.#clock = new ClockOffset()
    this.#figures = null
    this.delivered = 0
    this.reset()
    for (const technique of TECHNIQUES) this.switchedOn(technique)
  }

  /** The technique's next event counts as its first. */
  switchedOn(technique: Technique): void {
    this.tallies[technique].begin()
    this.lanes[technique].begin()
  }

  /** Resets all figures to 0. */
  reset(): void {
    this.#zero = this.#figures
    this.#began = pageClock()
    for (const technique of TECHNIQUES) {
      this.tallies[technique].reset()
      this.lanes[technique].clear()
    }
    this.history.value = emptyHistory()
    this.rows.value = each((technique) => this.#row(technique))
    this.repeated.value = 0
  }

  /** An event has arrived, created at `time` by the server's clock. */
  arrived(technique: Technique, n: number, time: number): void {
    const [made, now] = [time - this.#clock.offset, pageClock()]
    this.tallies[technique].receive(n, now - made)
    this.lanes[technique].arrived(n, made, now)
  }

  /**
   * Takes the server's figures, requested and received at these times by the page's clock. All webhook deliveries count, because all
   * of their requests do: when it is disabled, the last ones are still in flight.
   */
  take(figures: ComparisonFigures, sent: number, answered: number): void {
    this.#figures = figures
    this.#clock.add(sent, answered, figures.now)
    for (const [n, delay, time] of figures.deliveries) {
      if (this.delivered <= figures.webhookAfter && n > figures.webhookAfter) this.switchedOn('webhook')
      this.delivered = n
      this.tallies.webhook.receive(n, delay)
      const made = time - this.#clock.offset
      this.lanes.webhook.arrived(n, made, made + delay)
      // Each delivery is a request of its own.
      this.lanes.webhook.requests.push({ from: made, to: made + delay })
    }
  }

  /** Where a poll starts: where its technique left off, else at the first event of a new run, else at the newest. */
  position(technique: Technique): number | undefined {
    return this.tallies[technique].newest ?? (this.#figures === null ? 0 : undefined)
  }

  /** Publishes what has arrived since the last call. */
  look(): void {
    for (const technique of TECHNIQUES) this.lanes[technique].forget(pageClock())
    const delays = each((technique) => this.tallies[technique].delays())
    const rows = each((technique) => ({
      ...this.#row(technique),
      median: delays[technique].median,
      p95: delays[technique].p95,
    }))
    const { times, delay, overhead } = this.history.value
    this.rows.value = rows
    this.repeated.value = (this.#figures?.repeated ?? 0) - (this.#zero?.repeated ?? 0)
    this.history.value = {
      times: add(times, (pageClock() - this.#began) / 1_000),
      // A logarithmic scale has no 0, and no clock here is more precise than a tenth of a millisecond.
      delay: each((technique) => add(delay[technique], atLeast(0.1, delays[technique].fresh))),
      overhead: each((technique) => add(overhead[technique], atLeast(1, rows[technique].overhead))),
    }
  }

  #row(technique: Technique): TechniqueRow {
    const now = this.#figures?.techniques[technique] ?? NOTHING
    const zero = this.#zero?.techniques[technique] ?? NOTHING
    const since = (name: keyof TechniqueFigures): number => now[name] - zero[name]
    const [events, eventBytes, up, down] = [since('events'), since('eventBytes'), since('up'), since('down')]
    const { received, missed, cuts } = this.tallies[technique]
    const overhead = events > 0 ? (up + down - eventBytes) / events : null
    const figures = { requests: since('requests'), empty: since('empty'), events, eventBytes, up, down }
    return { ...figures, received, missed, cuts, overhead, median: null, p95: null }
  }
}

function emptyHistory(): History {
  return { times: [], delay: each(() => []), overhead: each(() => []) }
}

function add<Value>(list: readonly Value[], value: Value): Value[] {
  return [...list, value].slice(-PLOTTED)
}

function atLeast(least: number, value: number | null): number | null {
  return value === null ? null : Math.max(least, value)
}
