/**
 * Where the timestamps are: each a `message`, `yyyy-MM-dd HH:mm:ss` in the server's time zone, and then `close`, after which
 * a client that stays would only start over.
 */
export const timestampsPath = '/sse'

/** How many timestamps a run has. */
export const TIMESTAMPS = 30
