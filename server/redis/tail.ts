import type { LoggedEvent } from '../sse/eventLog'
import { Ring } from '../sse/ring'

/** An event as it was announced. */
export interface Announcement {
  epoch: string
  offset: number
  frame: Buffer
  isLast: boolean
}

/** What `append` tells of an event: its position, ` last` if it is the last, a line feed, and its frame. */
export function parseAnnouncement(message: Buffer): Announcement {
  const end = message.indexOf('\n')
  const [position = '', last] = message.toString('latin1', 0, end).split(' ')
  const [epoch = '', offset] = position.split(':')
  // A message may be a slice of what was received together, and would keep all of that alive.
  const frame = Buffer.allocUnsafeSlow(message.length - end - 1)
  message.copy(frame, 0, end + 1)
  return { epoch, offset: Number(offset), frame, isLast: last === 'last' }
}

/** What follows a cursor in a tail. */
export interface Following {
  events: LoggedEvent[]
  /** The newest offset. */
  top: number
  isOver: boolean
}

/** The newest events of an epoch as they were announced, one after the other: what most subscribers read next. */
export class Tail {
  readonly #maxBytes: number
  #events = new Ring<LoggedEvent>()
  #bytes = 0
  #epoch: string | null = null
  #top = 0
  #isOver = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes the next event. Any other than the next begins the tail anew. */
  push({ epoch, offset, frame, isLast }: Announcement): void {
    if (epoch !== this.#epoch || offset !== this.#top + 1) this.clear()
    this.#epoch = epoch
    this.#top = offset
    this.#isOver = isLast
    this.#events.push({ position: `${epoch}:${offset}`, frame })
    this.#bytes += frame.length
    while (this.#bytes > this.#maxBytes) this.#bytes -= this.#events.shift()?.frame.length ?? 0
  }

  clear(): void {
    this.#events = new Ring()
    this.#bytes = 0
    this.#epoch = null
  }

  /** What follows an offset, as much as fits; null where the tail does not reach back so far, or not so far ahead. */
  after(epoch: string, offset: number, maxBytes: number): Following | null {
    const oldest = this.#top - this.#events.length + 1
    if (epoch !== this.#epoch || offset < oldest - 1 || offset > this.#top) return null
    const events: LoggedEvent[] = []
    let bytes = 0
    for (let n = offset + 1 - oldest; maxBytes > 0; n++) {
      const event = this.#events.at(n)
      bytes += event?.frame.length ?? 0
      if (!event || (bytes > maxBytes && events.length > 0)) break
      events.push(event)
    }
    return { events, top: this.#top, isOver: this.#isOver }
  }
}
