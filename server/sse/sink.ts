/** Told by a sink, at most until it is ended. */
export interface SinkListener {
  /** The client left. An `Error` says how, as far as that is known. */
  gone: (cause?: unknown) => void
  /** Everything that was written has been taken, after `write` returned false. */
  drained: () => void
}

/**
 * - `open`: the head was sent, and a body can follow
 * - `head`: the head was sent, and the request is for no more
 * - `gone`: the client has already left
 * - `pipelined`: nothing was sent, the request waits behind another response of its connection
 */
export type Opening = 'open' | 'head' | 'gone' | 'pipelined'

/** Where the bytes of one stream go: `nodeSink`, `webSink`, or one of your own. */
export interface Sink {
  /** The id that the client asks to resume after, untrusted: from the header `Last-Event-ID`, else from the query `lastEventId`. */
  readonly lastEventId: string | null
  /** Whether bytes can still be written. */
  readonly writable: boolean
  /** Bytes that wait for a slow client. */
  readonly unsent: number
  /** The client has everything, or is gone, or nothing can ever be sent. */
  readonly closed: boolean
  /** Sends status 200 and the head at once, where it can. */
  open(headers: Readonly<Record<string, string>>, listener: SinkListener): Opening
  /**
   * Writes bytes that never change afterwards. With `gather`, what is written in the same turn of the event loop leaves together.
   *
   * @returns false if the client should be waited for: `drained` follows. The bytes are taken all the same.
   */
  write(bytes: Uint8Array, gather: boolean): boolean
  /** Ends the body after what was written. A client that has not read it after so many milliseconds is cut off. */
  end(timeout: number): void
  /** Cuts the client off, and drops what waits for it. */
  destroy(): void
  /** Calls back once the sink is closed. */
  onClose(callback: () => void): void
}

/** The `Last-Event-ID` of a request. The header wins: a browser that reconnects repeats a query that has long been overtaken. */
export function lastEventIdOf(header: string | null | undefined, url: string): string | null {
  // Browsers send UTF-8, and HTTP gives every byte of it as a character of its own.
  if (header !== null && header !== undefined) return Buffer.from(header, 'latin1').toString()
  const query = url.indexOf('?')
  return query === -1 ? null : new URLSearchParams(url.slice(query)).get('lastEventId')
}
