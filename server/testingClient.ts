/** A reader of a channel that checks what it receives, over a scripted socket: for the property test of the hub. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Emitter } from './sse/channel'
import { parsePosition, type Awaitable, type Gap } from './sse/eventLog'
import type { Hub } from './sse/hub'
import { eventsOf } from './testing'
import { CHANNEL, DEADLINE, turns, type History } from './testingFaults'

/** A socket that accepts bytes as its mode says; a real one accepts what its peer reads. */
class ScriptedEmitter implements Emitter {
  mode: Mode
  readonly #abort = new AbortController()
  /** Failed checks of the test, and errors that the hub caught. */
  readonly errors: unknown[] = []
  #waiting = Buffer.alloc(0)
  #stalled = false
  readonly #onDrain: (() => void)[] = []
  readonly #onCompletion: (() => void)[] = []
  readonly #receive: (bytes: Buffer) => void

  constructor(mode: Mode, receive: (bytes: Buffer) => void) {
    this.mode = mode
    this.#receive = receive
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get ended(): boolean {
    return this.signal.aborted
  }

  get writable(): boolean {
    return !this.signal.aborted && !this.#stalled
  }

  write(bytes: Uint8Array): boolean {
    if (this.signal.aborted) return false
    expect(this.#stalled, 'written to a stalled socket').toBe(false)
    this.#waiting = Buffer.concat([this.#waiting, bytes])
    this.#stalled = this.mode !== 'open'
    if (this.mode === 'open') this.#take(this.#waiting)
    if (this.mode === 'slow') setImmediate(() => this.drain())
    return true
  }

  drain(): void {
    if (this.mode === 'blocked' || !this.#stalled) return
    this.#stalled = false
    this.#take(this.#waiting)
    if (!this.signal.aborted) for (const callback of [...this.#onDrain]) callback()
  }

  /** The client leaves, with a part of its waiting bytes. */
  cut(part: number): void {
    this.#take(this.#waiting.subarray(0, Math.floor(this.#waiting.length * part)))
    this.complete()
  }

  complete(): void {
    if (this.signal.aborted) return
    if (this.mode !== 'blocked') this.#take(this.#waiting)
    this.#abort.abort()
    for (const callback of [...this.#onCompletion]) callback()
  }

  completeWithError(error: unknown): void {
    this.errors.push(error)
    this.complete()
  }

  onDrain(callback: () => void): () => void {
    this.#onDrain.push(callback)
    return () => void this.#onDrain.splice(this.#onDrain.indexOf(callback), 1)
  }

  onCompletion(callback: () => void): () => void {
    this.#onCompletion.push(callback)
    return () => void this.#onCompletion.splice(this.#onCompletion.indexOf(callback), 1)
  }

  #take(bytes: Buffer): void {
    this.#waiting = Buffer.alloc(0)
    try {
      this.#receive(bytes)
    } catch (error) {
      this.errors.push(error)
    }
  }
}

export type Kind = 'oldest' | 'now' | 'snapshot'
export type Mode = 'open' | 'slow' | 'blocked'

/** A reader that reconnects with its last id. It checks each event as far as it can; the test checks the rest later. */
export class Client {
  cursor: string | null
  readonly emitters: ScriptedEmitter[] = []
  /** No more events are expected: it got `close`, or a 204. */
  isFinished = false
  isConnecting = false
  /** The state that it knows, from a snapshot and from events. */
  readonly numbers: Set<string> = new Set<string>()
  readonly received: { id: string; data: string }[] = []
  readonly gaps: { gap: Gap; cursor: string }[] = []
  /** It may have missed events without any way to notice: see where this is set. */
  mayBeDeceived = false
  readonly kind: Kind
  readonly #history: History
  readonly #isForged: boolean
  #text = ''

  constructor(history: History, kind: Kind, forged: string | null = null) {
    this.#history = history
    this.kind = kind
    this.cursor = forged
    this.#isForged = forged !== null
  }

  get emitter(): ScriptedEmitter | undefined {
    return this.emitters.at(-1)
  }

  get isConnected(): boolean {
    return this.emitter?.signal.aborted === false
  }

  /** A cursor before the first event cannot tell a forgotten channel from its successor. */
  noticesNoOtherBeginning(): void {
    if (this.cursor === null || this.cursor === '0') this.mayBeDeceived = true
  }

  async connect(hub: Hub, mode: Mode): Promise<void> {
    this.emitter?.cut(0.5)
    this.#text = ''
    this.isConnecting = true
    const open = (): Emitter => {
      const emitter = new ScriptedEmitter(mode, (bytes) => {
        const blocks = `${this.#text}${bytes.toString()}`.split('\n\n')
        this.#text = blocks.pop() ?? ''
        for (const block of blocks) this.#take(eventsOf(`${block}\n\n`)[0] ?? {})
      })
      this.emitters.push(emitter)
      return emitter
    }
    const answer = await hub.subscribe(CHANNEL, open, {
      after: this.cursor,
      greeting: 'welcome',
      ...(this.kind === 'snapshot' ? { snapshot: () => this.#snapshot() } : { from: this.kind }),
    })
    this.isConnecting = false
    if (answer === 'finished') this.isFinished = true
  }

  #snapshot(): Awaitable<string> {
    const text = JSON.stringify([...this.#history.numbers])
    switch (this.#history.fault()) {
      case 'reject':
      case 'answer lost':
        return Promise.reject(new Error('no database'))
      case 'hang':
        return new Promise(() => undefined)
      case 'too late':
        return sleep(2 * DEADLINE).then(() => text)
      default:
        // As old as allowed: from the moment of the call.
        return turns(2).then(() => text)
    }
  }

  #take({ id = '', event = 'message', data = '' }: Record<string, string>): void {
    expect(this.isFinished, 'an event after the end').toBe(false)
    if (id === '') {
      expect(data, 'an event without an id').toBe('welcome')
      expect(this.cursor !== null || this.kind === 'snapshot', 'a newcomer that is not told its id').toBe(true)
      return
    }
    if (event === 'snapshot') {
      expect(this.kind).toBe('snapshot')
      for (const number of JSON.parse(data) as string[]) this.numbers.add(number)
    } else if (event === 'stream-reset') this.#takeReset(id, JSON.parse(data) as Gap)
    else if (this.cursor === null) expect(data, 'the first event').toBe('welcome')
    else {
      expect(follows(this.cursor, id), `lost, doubled or out of order: ${id} after ${this.cursor}`).toBe(true)
      this.received.push({ id, data })
      this.numbers.add(data.split(':')[0] ?? '')
      this.isFinished = event === 'close'
    }
    this.cursor = id
  }

  #takeReset(id: string, gap: Gap): void {
    expect(this.kind, 'a reset where there are snapshots').not.toBe('snapshot')
    expect(gap.requested).toBe(this.cursor?.slice(0, 100))
    if (gap.reason === 'ahead') expect(this.#isForged || this.#history.setBacks > 0).toBe(true)
    else {
      expect(
        gap.oldest === null ? id === gap.latest : follows(id, gap.oldest),
        'a reset to just before the oldest',
      ).toBe(true)
      this.gaps.push({ gap, cursor: this.cursor ?? '' })
    }
  }
}

/** Whether the event at `id` directly follows a position. */
function follows(before: string, id: string): boolean {
  const [last, next] = [parsePosition(before), parsePosition(id)]
  if (!last || !next?.epoch) return false
  if (last.epoch === null) return next.offset === 1
  return last.offset === Infinity
    ? next.offset === 1 && next.epoch !== last.epoch
    : next.epoch === last.epoch && next.offset === last.offset + 1
}
