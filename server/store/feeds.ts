import { randomUUID } from 'node:crypto'
import type { Emitter } from '../sse/channel'
import { EventLogError } from '../sse/eventLog'
import type { Hub } from '../sse/hub'
import type { Mark, Outbox } from './outbox'

/** One change of what a feed shows: an upsert with a version, so that hearing of it twice, or late, does no harm. */
export interface FeedEvent {
  event: string
  data: object
}

/** The state of a feed. */
export interface FeedState {
  /** Every change up to this one is in it. */
  version: number
}

export interface FeedsOptions {
  hub: Hub
  outbox: Outbox
  /** The state of a feed, as it is stored. */
  snapshot: (feed: string) => Promise<FeedState>
  /** Milliseconds between two looks for changes that nobody announces. @default 1_000 */
  interval?: number
}

/**
 * Channels whose state is in a database. A newcomer, and whoever missed something, gets a snapshot of it, and after that the changes.
 *
 * The database comes first, the announcement second, and until that is made the change is in the outbox. Every process that uses
 * the database looks there for what another one left behind when it died, or could not announce. It then announces all of the
 * feed's state, marked as `late`: while it was on its way, a newer change may have overtaken it.
 */
export class Feeds {
  readonly #hub: Hub
  readonly #outbox: Outbox
  readonly #snapshot: (feed: string) => Promise<FeedState>
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined

  constructor({ hub, outbox, snapshot, interval = 1_000 }: FeedsOptions) {
    this.#hub = hub
    this.#outbox = outbox
    this.#snapshot = snapshot
    this.#interval = interval
  }

  async subscribe(feed: string, after: string | null, open: () => Emitter): Promise<'open' | 'finished'> {
    this.#lookLater()
    const snapshot = async (): Promise<string> => JSON.stringify(await this.#snapshot(feed))
    return this.#hub.subscribe(this.#outbox.channelOf(feed), open, { after, snapshot })
  }

  /** Tells whoever is subscribed what has been stored. It never fails: the change is made, whatever becomes of the news. */
  async announce(feed: string, mark: Mark, events: readonly FeedEvent[], client: string): Promise<void> {
    this.#lookLater()
    if (mark === null) return
    try {
      for (const event of events) await this.#publish(feed, event, client)
    } catch {
      await this.#outbox.failed(feed, mark).catch(runsOut)
      return
    }
    await this.#outbox.announced(feed, mark).catch(runsOut)
  }

  async #publish(feed: string, { event, data }: FeedEvent, client?: string): Promise<void> {
    // A version would be no key: a database that was restored counts them once more.
    const options = { key: randomUUID(), ...(client === undefined ? {} : { client }) }
    await this.#hub.publish(this.#outbox.channelOf(feed), { event, data: JSON.stringify(data) }, options)
  }

  #lookLater(): void {
    this.#timer ??= setTimeout(() => {
      // While the database fails, there is nothing to announce from.
      void this.#look()
        .catch(runsOut)
        .then(() => {
          this.#timer = undefined
          this.#lookLater()
        })
    }, this.#interval).unref()
  }

  async #look(): Promise<void> {
    const feeds = await this.#outbox.claim()
    for (const [n, feed] of feeds.entries()) {
      try {
        await this.#announceState(feed)
      } catch (error) {
        // What is refused is tried again when its lease has run out. If the log is unreachable, the others cannot be announced either.
        const isLogAway = error instanceof EventLogError && error.kind === 'unavailable'
        if (isLogAway) return this.#outbox.release(feeds.slice(n))
      }
    }
  }

  async #announceState(feed: string): Promise<void> {
    const state = await this.#snapshot(feed)
    await this.#publish(feed, { event: 'snapshot', data: { ...state, late: true } })
    await this.#outbox.covered(feed, state.version)
  }
}

/** The database fails. What could not be noted is found when its lease has run out. */
function runsOut(): void {
  return undefined
}
