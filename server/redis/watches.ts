import type { Watcher } from '../sse/eventLog'
import { parseAnnouncement, Tail } from './tail'

/** What is known of a channel: its newest epoch, the newest event of that, and whether it is over. */
export interface Newest {
  epoch: string
  top: number
  isOver: boolean
}

/** What watches need of a Redis. */
export interface Announcer {
  /** Resolves when every later announcement will be heard. A subscription outlives the connection. */
  subscribe: (channel: string, listener: (message: Buffer) => void) => Promise<void>
  unsubscribe: (channel: string, listener: (message: Buffer) => void) => Promise<void>
  /** Looks at a channel, and keeps what is known of it. Null if nothing is. */
  touch: (channel: string) => Promise<Newest | null>
}

interface Watched {
  readonly name: string
  readonly watchers: Set<Watcher>
  readonly tail: Tail
  readonly listener: (message: Buffer) => void
  isSubscribed: boolean
  newest: Newest | null
  /** Nothing was announced since the last look. */
  isQuiet: boolean
}

/** Bytes of a channel's newest events that are kept here. Whoever is further behind reads from Redis. */
const TAIL_BYTES = 2 ** 17

/**
 * The channels that someone watches, each with one subscription, however many watch it.
 *
 * An announcement may be lost. So all watchers are told to look after every reconnection, when an event is not the next one, and
 * when a look now and then finds something else than was announced.
 */
export class Watches {
  readonly #announcer: Announcer
  readonly #watched = new Map<string, Watched>()
  readonly #timer: NodeJS.Timeout

  constructor(announcer: Announcer, lookInterval: number) {
    this.#announcer = announcer
    this.#timer = setInterval(() => this.#look(), lookInterval).unref()
  }

  watch(name: string, watcher: Watcher): () => void {
    const watched = this.#watched.get(name) ?? this.#begin(name)
    // Its own object, so that one watcher can watch twice and stop once.
    const own = { ...watcher }
    watched.watchers.add(own)
    if (watched.isSubscribed)
      queueMicrotask(() => {
        if (watched.watchers.has(own)) own.onAppend()
      })
    return () => watched.watchers.delete(own)
  }

  /** The newest events of a channel, if it is watched. */
  tail(name: string): Tail | undefined {
    return this.#watched.get(name)?.tail
  }

  /** The connection is there, and with it every subscription that had been made. */
  connected(): void {
    for (const watched of this.#watched.values()) {
      if (watched.isSubscribed) this.#tellToLook(watched)
      else void this.#subscribe(watched)
    }
  }

  disconnected(error: unknown): void {
    for (const { watchers } of this.#watched.values()) for (const { onError } of watchers) onError(error)
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { watchers } of this.#watched.values()) watchers.clear()
    this.#watched.clear()
  }

  #begin(name: string): Watched {
    const watched: Watched = {
      name,
      watchers: new Set(),
      tail: new Tail(TAIL_BYTES),
      isSubscribed: false,
      newest: null,
      isQuiet: true,
      listener: (message) => this.#hear(watched, message),
    }
    this.#watched.set(name, watched)
    void this.#subscribe(watched)
    return watched
  }

  async #subscribe(watched: Watched): Promise<void> {
    try {
      await this.#announcer.subscribe(watched.name, watched.listener)
    } catch (error) {
      // It is tried again with the next connection, and with the next look.
      for (const { onError } of watched.watchers) onError(error)
      return
    }
    watched.isSubscribed = true
    this.#tellToLook(watched)
  }

  #hear(watched: Watched, message: Buffer): void {
    const announcement = parseAnnouncement(message)
    const { epoch, offset, isLast } = announcement
    watched.newest = { epoch, top: offset, isOver: isLast }
    watched.isQuiet = false
    watched.tail.push(announcement)
    tell(watched)
  }

  #tellToLook(watched: Watched): void {
    watched.tail.clear()
    tell(watched)
  }

  #look(): void {
    for (const watched of this.#watched.values()) {
      if (watched.watchers.size > 0) void this.#lookAt(watched)
      else this.#leave(watched)
    }
  }

  async #lookAt(watched: Watched): Promise<void> {
    if (!watched.isSubscribed) return this.#subscribe(watched)
    const newest = await this.#announcer.touch(watched.name).catch(() => undefined)
    if (newest === undefined) return
    const known = watched.newest
    watched.newest = newest
    const isKnown = known?.epoch === newest?.epoch && known?.top === newest?.top && known?.isOver === newest?.isOver
    if (!isKnown) {
      this.#tellToLook(watched)
      return
    }
    // By now everyone who keeps up is at its end.
    if (watched.isQuiet) watched.tail.clear()
    watched.isQuiet = true
  }

  #leave(watched: Watched): void {
    this.#watched.delete(watched.name)
    // Where there is no connection it is left with that.
    this.#announcer.unsubscribe(watched.name, watched.listener).catch(() => undefined)
  }
}

function tell({ watchers }: Watched): void {
  for (const { onAppend } of watchers) onAppend()
}
