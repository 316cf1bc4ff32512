/**
 * The path of the timestamps: each is a `message`, `yyyy-MM-dd HH:mm:ss` in the server's time zone. The last event is `close`: a
 * client that reconnected after it would start over.
 */
export const timestampsPath = '/sse'

/** The number of timestamps in a run. */
export const TIMESTAMPS = 30
