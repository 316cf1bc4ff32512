import { ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { lastEventIdOf, type Opening, type Sink, type SinkListener } from './sink.js'

/**
 * A response of `node:http`, or of `node:http2` with its compatibility API, and of anything built on them: Express, Koa,
 * `reply.raw` of Fastify.
 */
export function nodeSink(res: ServerResponse | Http2ServerResponse): Sink {
  return new NodeSink(res)
}

/**
 * Most responses bypass `res.write`, whose chunks cost more than the system call that sends them: a chunk is framed once for
 * all receivers of the same bytes, and written to their sockets. See `#isDirect`.
 */
class NodeSink implements Sink {
  readonly #res: ServerResponse
  /** The connection, or over HTTP/2 the stream. Null for a request that waits behind another response on its connection. */
  readonly #stream: Socket | ServerHttp2Stream | null
  #socket: Socket | null = null
  #isDraining = false
  #listener: SinkListener | null = null

  constructor(res: ServerResponse | Http2ServerResponse) {
    // The compatibility API has all the methods used here.
    this.#res = res as ServerResponse
    this.#stream = 'stream' in res ? res.stream : res.socket
  }

  get lastEventId(): string | null {
    const { headers, url = '' } = this.#res.req
    return lastEventIdOf(headers['last-event-id']?.toString(), url)
  }

  get writable(): boolean {
    return this.#stream?.writable === true && !this.#res.writableEnded
  }

  get unsent(): number {
    return (this.#socket ?? this.#res).writableLength
  }

  get closed(): boolean {
    return this.#stream === null || this.#stream.closed || this.#res.closed
  }

  open(headers: Readonly<Record<string, string>>, listener: SinkListener): Opening {
    const res = this.#res
    const stream = this.#stream
    // Node gives a pipelined response its socket only once the response before it has ended, which a stream never does, and
    // does not tell it when the client leaves.
    if (stream === null && !res.destroyed) return 'pipelined'
    this.#listener = listener
    res.on('error', this.#gone)
    if (!stream || stream.destroyed || res.destroyed) return 'gone'
    if (res.req.method === 'HEAD') {
      res.writeHead(200, headers).end()
      return 'head'
    }
    if (!stream.writable) return 'gone'

    // No other response may follow chunks that Node does not know about. The header also makes Chromium close the connection of
    // a cancelled response at once instead of after five seconds. HTTP/1.0 closes anyway, HTTP/2 has no such header.
    res.writeHead(200, res.req.httpVersion === '1.1' ? { ...headers, Connection: 'close' } : headers).flushHeaders()
    if (stream instanceof Socket && this.#isDirect()) this.#socket = stream
    // An unread request body would pause the socket, and a paused socket does not see the client leave.
    res.req.resume()
    res.on('close', this.#gone)
    stream.on('close', this.#gone)
    // Node answers a client's FIN with its own, but bytes waiting for a client that does not read delay `close`. Over HTTP/2,
    // `end` is only the end of the request.
    if (stream instanceof Socket) stream.on('end', this.#gone)
    return 'open'
  }

  /** Not over HTTP/1.0 or with a fixed length, which have no chunks, and not if a middleware compresses or reads the bytes. */
  #isDirect(): boolean {
    const res = this.#res
    return res.chunkedEncoding && !res.hasHeader('Content-Encoding') && res.write === ServerResponse.prototype.write
  }

  write(bytes: Uint8Array, together: boolean): boolean {
    const socket = this.#socket
    if (socket && together) gather(socket)
    const keepsUp = socket ? socket.write(chunkOf(bytes)) : this.#res.write(bytes)
    if (!keepsUp && !this.#isDraining) {
      this.#isDraining = true
      // With a direct socket nothing waits in the response, so it never emits `drain`.
      ;(socket ?? this.#res).once('drain', () => {
        this.#isDraining = false
        this.#listener?.drained()
      })
    }
    return keepsUp
  }

  end(timeout: number): void {
    const res = this.#res
    this.#listener = null
    this.#stream?.off('close', this.#gone).off('end', this.#gone)
    res.off('close', this.#gone)
    if (!this.#stream?.writable) {
      if (!res.writableEnded) res.destroy()
      return
    }
    res.end()
    const unread = setTimeout(() => this.destroy(), timeout).unref()
    res.on('close', () => clearTimeout(unread))
  }

  destroy(): void {
    // Without an error, an HTTP/2 stream would end as if it were complete.
    this.#res.destroy(this.#stream instanceof Socket ? undefined : new Error('The stream was cut off.'))
  }

  onClose(callback: () => void): void {
    this.#res.on('close', callback)
  }

  #gone = (cause?: unknown): void => this.#listener?.gone(cause)
}

/** Everything written to the socket in this turn of the event loop leaves in one system call. */
function gather(socket: Socket): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  process.nextTick(uncork, socket)
}

function uncork(socket: Socket): void {
  socket.uncork()
}

const CRLF = Buffer.from('\r\n')

/** The newest chunk: receivers of the same bytes are served one after the other. */
let newest: { bytes: Uint8Array; chunk: Buffer } | null = null

/** Bytes framed as an HTTP/1.1 chunk. */
function chunkOf(bytes: Uint8Array): Buffer {
  if (newest?.bytes === bytes) return newest.chunk
  const chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF])
  if (newest === null) queueMicrotask(() => (newest = null))
  newest = { bytes, chunk }
  return chunk
}
