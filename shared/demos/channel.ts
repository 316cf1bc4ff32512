/** What both ends of the channel demo agree on. */

export const channelPaths = {
  subscribe: '/sse/subscribe',
  push: '/sse/push',
  over: '/sse/over',
  /** Destroys the subscribers' connections like a network failure: without notice. */
  cut: '/sse/cut',
} as const

/** The allowed names of channels. */
export const CHANNEL_ID: RegExp = /^[A-Za-z0-9._~-]{1,64}$/

/** The first event of every subscription, an ordinary message. */
export const greeting = '连接成功'

/** Events between the client's last one and the next one are lost. */
export const resetEvent = 'stream-reset'

/** The data of a `stream-reset`. */
export interface StreamReset {
  reason: 'malformed' | 'epoch' | 'ahead' | 'trimmed'
  /** The id that the client sent. */
  requested: string
  /** The ids of the oldest and the newest stored event. */
  oldest: string | null
  latest: string
}

const REASONS: readonly unknown[] = ['malformed', 'epoch', 'ahead', 'trimmed'] satisfies StreamReset['reason'][]

/** @throws SyntaxError if the text is not a StreamReset. */
export function parseStreamReset(text: string): StreamReset {
  const value = JSON.parse(text) as StreamReset
  if (REASONS.includes(value.reason) && typeof value.requested === 'string' && typeof value.latest === 'string')
    return value
  throw new SyntaxError('This is not a stream-reset.')
}
