/** What both ends of the timestamps demo agree on. */

export const timestampsPath = '/sse'

/** Every event of the stream: its name, and the type of its data once decoded. */
export interface TimestampsEvents {
  /** `yyyy-MM-dd HH:mm:ss` in the server's time zone. */
  message: string
  /** The server has sent everything. A client that stays would only start over. */
  close: string
}
