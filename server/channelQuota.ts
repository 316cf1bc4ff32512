import type { RequestHandler } from 'express'
import { channelPaths } from '../shared/demos/channel'
import { HttpError } from './httpError'
import { idParam } from './params'
import { clientKey } from './sse/clientKey'

export interface ChannelQuotaOptions {
  /** Channels of one client. */
  perClient: number
  /** Milliseconds for which a channel is kept after an event, and counts. */
  maxAge: number
}

/**
 * Limits how many different channels one client may push to, so that it cannot use up the room that all clients share. A channel
 * counts for as long as it is kept. Subscribing creates no channel.
 */
export function channelQuota({ perClient, maxAge }: ChannelQuotaOptions): RequestHandler {
  /** The channels of each client, and when it last pushed to them. The one that was used longest ago comes first, in both maps. */
  const clients = new Map<string, Map<string, number>>()

  return (req, _res, next) => {
    if (req.path === channelPaths.push) {
      const wait = take(clientKey(req), idParam(req), performance.now())
      if (wait > 0) throw exceeded(perClient, wait)
    }
    next()
  }

  /** Milliseconds until the client may push to this channel; 0 if it may now. */
  function take(client: string, channel: string, now: number): number {
    const channels = clients.get(client) ?? new Map<string, number>()
    forget(channels, (used) => now - used >= maxAge)
    if (!channels.has(channel) && channels.size >= perClient) {
      const [oldest = now] = channels.values()
      return oldest + maxAge - now
    }
    channels.delete(channel)
    channels.set(channel, now)
    clients.delete(client)
    clients.set(client, channels)
    forget(clients, (others) => now - newest(others) >= maxAge)
    return 0
  }
}

function newest(channels: Map<string, number>): number {
  return [...channels.values()].at(-1) ?? 0
}

/** Removes the first entries, up to one that is still needed. */
function forget<Value>(entries: Map<string, Value>, isOver: (value: Value) => boolean): void {
  for (const [key, value] of entries) {
    if (!isOver(value)) return
    entries.delete(key)
  }
}

function exceeded(perClient: number, wait: number): HttpError {
  const retryAfter = String(Math.ceil(wait / 1_000))
  const message = `You use ${perClient} channels already: push to one of them, or wait ${retryAfter} s.`
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
