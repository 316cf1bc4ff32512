/** A stream with one of everything: comment, data, event, id, retry, and then `close`. */
export const wirePath = '/sse/wire'
