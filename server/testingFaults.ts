/** A log that fails in every way the contract allows, and a record of what really happened to it: for the property test of the hub. */

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { EventLogError, type Awaitable, type EventLog } from './sse/eventLog'

export const CHANNEL = 'c'

export const FAULTS = ['none', 'reject', 'hang', 'late', 'late answer', 'too late', 'answer lost'] as const
export type Fault = (typeof FAULTS)[number]

/** Milliseconds: shorter than some answers, which then come too late. */
export const DEADLINE = 5

/** What really happened to the log, whatever it answered. */
export class History {
  /** Everything ever appended at a position: more than one event if the log was set back. */
  readonly #contents = new Map<string, string[]>()
  /** The positions of numbers published with a key. */
  readonly keyed: Map<string, string> = new Map<string, string>()
  /** The state that snapshots show: every number that was appended. */
  readonly numbers: Set<string> = new Set<string>()
  isCalm = false
  setBacks = 0
  watchers = 0
  /** Turns of the event loop that every answer takes. */
  readonly delay: number
  #faults: Fault[]
  readonly #deeds = new Set<Promise<unknown>>()

  constructor(faults: Fault[], delay: number) {
    this.#faults = [...faults]
    this.delay = delay
  }

  fault(): Fault {
    return (this.isCalm ? undefined : this.#faults.shift()) ?? 'none'
  }

  /** Resolves once everything that was done to the log is recorded, even if whoever asked for it has given up. */
  async complete(): Promise<void> {
    while (this.#deeds.size > 0) await Promise.allSettled(this.#deeds)
  }

  async record<T>(deed: () => Promise<T>): Promise<T> {
    const done = deed()
    this.#deeds.add(done)
    return done.finally(() => this.#deeds.delete(done))
  }

  appended(position: string, content: string): void {
    const contents = this.#contents.get(position) ?? []
    this.#contents.set(position, contents)
    if (contents.includes(content)) return
    expect(this.setBacks > 0 || contents.length === 0, `two events at ${position}`).toBe(true)
    contents.push(content)
  }

  has(position: string, content: string): boolean {
    return this.#contents.get(position)?.includes(content) ?? false
  }
}

/**
 * A log whose calls fail, hang or are late, and whose announcements are lost, late or repeated. `unwatched` is the same log as
 * another process sees it: a watched log may remember more than it stores.
 */
export function faulty(log: EventLog, history: History, unwatched: EventLog): EventLog {
  const unavailable = new EventLogError('unavailable', 'The log cannot be reached.')
  const never = new Promise<never>(() => undefined)

  async function call<T>(run: () => Awaitable<T>): Promise<T> {
    const fault = history.fault()
    switch (fault) {
      case 'reject':
        throw unavailable
      case 'hang':
        return never
      case 'late': {
        await turns(2)
        return run()
      }
      case 'too late': {
        const result = await run()
        await sleep(2 * DEADLINE)
        return result
      }
      case 'answer lost':
        await run()
        throw unavailable
      default: {
        const result = await run()
        await turns(fault === 'none' ? history.delay : 3)
        return result
      }
    }
  }

  const append = async (...[channel, event, options]: Parameters<EventLog['append']>): Promise<string> => {
    const number = event.data?.split(':')[0] ?? ''
    if (options?.key === undefined) expect(history.numbers.has(number), 'appended twice without a key').toBe(false)
    history.numbers.add(number)
    const before = options?.key === undefined ? undefined : history.keyed.get(options.key)
    const { setBacks } = history
    const position = await log.append(channel, event, options)
    history.appended(position, event.data ?? '')
    if (before !== undefined && position !== before) {
      // A set back meanwhile may have restored it after it was forgotten.
      const isDouble = await isAt(unwatched, before, event.data ?? '')
      if (history.setBacks === setBacks) expect(isDouble, 'appended twice with one key').toBe(false)
    }
    if (options?.key !== undefined) history.keyed.set(options.key, position)
    return position
  }

  const end = async (...[channel, last, options]: Parameters<EventLog['end']>): Promise<string | null> => {
    const position = await log.end(channel, last, options)
    if (position !== null) history.appended(position, last.data ?? '')
    return position
  }

  return {
    retention: log.retention,
    append: (channel, event, options) => call(() => history.record(() => append(channel, event, options))),
    end: (channel, last, options) => call(() => history.record(() => end(channel, last, options))),
    read: (channel, after, limits) => call(() => log.read(channel, after, limits)),
    watch: (channel, { onAppend, onError }) => {
      let isWatching = true
      const tell = (): void => {
        if (isWatching) onAppend()
      }
      const stop = log.watch(channel, {
        onError,
        onAppend: () => {
          const fault = history.fault()
          if (fault === 'late') void turns(3).then(tell)
          else if (fault === 'none' || fault === 'late answer') tell()
          if (fault === 'late answer') void turns(1).then(tell)
          if (fault === 'none' || fault === 'late' || fault === 'late answer') return
          // Lost: the log notices, and makes up for it once it has reconnected.
          onError(unavailable)
          void turns(5).then(tell)
        },
      })
      history.watchers += 1
      return () => {
        if (isWatching) history.watchers -= 1
        isWatching = false
        stop()
      }
    },
    close: () => log.close(),
  }
}

/** Whether the log still has it there: in a log that was set back, its position may be another event's. */
async function isAt(log: EventLog, position: string, data: string): Promise<boolean> {
  const before = position.replace(/\d+$/, (offset) => String(Number(offset) - 1))
  const [next] = (await log.read(CHANNEL, before, { maxBytes: 1 })).events
  return next?.position === position && next.frame.includes(`data: ${data}\n`)
}

export async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn()
}
