import { HttpError } from './httpError'

export interface ChannelQuotaOptions {
  /** Channels per client. */
  perClient: number
  /** Milliseconds after an event for which a channel is stored, and counts. */
  maxAge: number
}

/**
 * Limits how many different channels one client may push to or end, so that it cannot use up the room that all clients share. A
 * channel counts for as long as it is stored. Subscribing creates no channel.
 */
export class ChannelQuota {
  readonly #perClient: number
  readonly #maxAge: number
  /** Each client's channels, and when it last changed them. In both maps, the least recently used comes first. */
  readonly #clients = new Map<string, Map<string, number>>()

  constructor({ perClient, maxAge }: ChannelQuotaOptions) {
    this.#perClient = perClient
    this.#maxAge = maxAge
  }

  /** Runs a change of a channel, which takes one of the client's places unless it fails. @throws HttpError 429 */
  async use<T>(client: string, channel: string, change: () => Promise<T>): Promise<T> {
    const isNew = this.#take(client, channel, performance.now())
    try {
      return await change()
    } catch (error) {
      if (isNew) this.#clients.get(client)?.delete(channel)
      throw error
    }
  }

  /** Takes a place for the channel. Returns whether the client had none before. */
  #take(client: string, channel: string, now: number): boolean {
    const channels = this.#clients.get(client) ?? new Map<string, number>()
    forget(channels, (used) => now - used >= this.#maxAge)
    if (!channels.has(channel) && channels.size >= this.#perClient) {
      const [oldest = now] = channels.values()
      throw exceeded(this.#perClient, oldest + this.#maxAge - now)
    }
    const isNew = !channels.delete(channel)
    channels.set(channel, now)
    this.#clients.delete(client)
    this.#clients.set(client, channels)
    // Clients without any stored channel: the map is in order of use.
    forget(this.#clients, (others) => Math.max(0, ...others.values()) + this.#maxAge <= now)
    return isNew
  }
}

/** Removes entries from the front, up to the first that is still needed. */
function forget<Value>(entries: Map<string, Value>, isOver: (value: Value) => boolean): void {
  for (const [key, value] of entries) {
    if (!isOver(value)) return
    entries.delete(key)
  }
}

function exceeded(perClient: number, wait: number): HttpError {
  const retryAfter = String(Math.ceil(wait / 1_000))
  const message = `You use ${perClient} channels already: use one of them, or wait ${retryAfter} s.`
  return new HttpError(
    429,
    'channels',
    message,
    { 'Retry-After': retryAfter },
    {
      setting: 'MAX_CHANNELS_PER_ADDRESS',
      text: `a client asked for more than ${perClient}. If all clients come through a proxy, set TRUST_PROXY.`,
    },
  )
}
