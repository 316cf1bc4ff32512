import { setTimeout as sleep } from 'node:timers/promises'
import type { Emitter } from '../sse/channel'
import type { Hub } from '../sse/hub'

/** One change of what a feed shows: an upsert with a version, so that hearing of it twice, or late, does no harm. */
export interface FeedEvent {
  event: string
  data: object
}

export interface FeedsOptions {
  hub: Hub
  /** In front of the feed's id in the name of its channel. No channel of the channel demo's users begins with `#`. */
  prefix: `#${string}`
  /** The state of a feed, as it is stored. */
  snapshot: (id: string) => Promise<object>
  /** Milliseconds before what could not be announced is announced again; doubles each time up to 30 times as long. @default 1_000 */
  retryDelay?: number
}

/**
 * Channels whose state is in a database. A newcomer, and whoever missed something, gets a snapshot of it, and after that the changes.
 *
 * The database comes first, the announcement second. A process that dies in between takes its channels with it, so everyone gets a
 * snapshot. Where the log has no room for an announcement, the whole state is announced as soon as it has.
 */
export class Feeds {
  readonly #hub: Hub
  readonly #prefix: string
  readonly #snapshot: (id: string) => Promise<object>
  readonly #retryDelay: number
  /** Feeds whose subscribers have missed a change. */
  readonly #behind = new Set<string>()

  constructor({ hub, prefix, snapshot, retryDelay = 1_000 }: FeedsOptions) {
    this.#hub = hub
    this.#prefix = prefix
    this.#snapshot = snapshot
    this.#retryDelay = retryDelay
  }

  async subscribe(id: string, after: string | null, open: () => Emitter): Promise<'open' | 'finished'> {
    const snapshot = async (): Promise<string> => JSON.stringify(await this.#snapshot(id))
    return this.#hub.subscribe(this.#prefix + id, open, { after, snapshot })
  }

  /** Tells whoever is subscribed what has been stored. It never fails: the change is made, whatever becomes of the news. */
  async announce(id: string, events: readonly FeedEvent[], client: string): Promise<void> {
    try {
      for (const { event, data } of events)
        await this.#hub.publish(this.#prefix + id, { event, data: JSON.stringify(data) }, { client })
    } catch {
      void this.#catchUp(id)
    }
  }

  async #catchUp(id: string): Promise<void> {
    if (this.#behind.has(id)) return
    this.#behind.add(id)
    for (let attempt = 0; ; attempt++) {
      await sleep(this.#retryDelay * Math.min(2 ** attempt, 30), undefined, { ref: false })
      // Before it is read: what is missed from now on is not in it.
      this.#behind.delete(id)
      try {
        const data = JSON.stringify(await this.#snapshot(id))
        await this.#hub.publish(this.#prefix + id, { event: 'snapshot', data })
        return
      } catch {
        if (this.#behind.has(id)) return
        this.#behind.add(id)
      }
    }
  }
}
