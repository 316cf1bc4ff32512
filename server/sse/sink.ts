/** Called by a sink, never after it was ended. */
export interface SinkListener {
  /** The client left. The cause is an `Error` if the reason is known. */
  gone: (cause?: unknown) => void
  /** After `write` returned false: everything has been flushed. */
  drained: () => void
}

/**
 * - `open`: the head was sent, and a body can follow
 * - `head`: the head was sent, and the request (HEAD) wants no body
 * - `gone`: the client has already left
 * - `pipelined`: nothing was sent, because the request waits behind another response on its connection
 */
export type Opening = 'open' | 'head' | 'gone' | 'pipelined'

/** Where the bytes of one stream go: `nodeSink`, `webSink`, or your own. */
export interface Sink {
  /** The id after which the client wants to resume, untrusted: from the `Last-Event-ID` header, else from the `lastEventId` query parameter. */
  readonly lastEventId: string | null
  /** Whether bytes can still be written. */
  readonly writable: boolean
  /** Bytes waiting for a slow client. */
  readonly unsent: number
  /** The client has received everything, or is gone, or nothing can ever be sent. */
  readonly closed: boolean
  /** Sends status 200 and the headers at once, if possible. */
  open(headers: Readonly<Record<string, string>>, listener: SinkListener): Opening
  /**
   * Writes bytes that never change afterwards. With `gather`, everything written in the same turn of the event loop leaves together.
   *
   * @returns false if the caller should wait for `drained`. The bytes are accepted all the same.
   */
  write(bytes: Uint8Array, gather: boolean): boolean
  /** Ends the body after everything written. A client that has not read it within `timeout` milliseconds is cut off. */
  end(timeout: number): void
  /** Cuts the client off, and drops its waiting bytes. */
  destroy(): void
  /** Calls back once the sink is closed. */
  onClose(callback: () => void): void
}

/** The `Last-Event-ID` of a request. The header wins: a browser that reconnects repeats the query, which is out of date by then. */
export function lastEventIdOf(header: string | null | undefined, url: string): string | null {
  // Browsers send UTF-8, and Node decodes headers as one character per byte.
  if (header !== null && header !== undefined) return Buffer.from(header, 'latin1').toString()
  const query = url.indexOf('?')
  return query === -1 ? null : new URLSearchParams(url.slice(query)).get('lastEventId')
}
