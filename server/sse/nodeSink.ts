import { ServerResponse } from 'node:http'
import type { Http2ServerResponse, ServerHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import { lastEventIdOf, type Opening, type Sink, type SinkListener } from './sink.js'

/**
 * A response of `node:http`, or of `node:http2` with its compatibility API, and so of everything that is built on them: Express,
 * Koa, `reply.raw` of Fastify.
 */
export function nodeSink(res: ServerResponse | Http2ServerResponse): Sink {
  return new NodeSink(res)
}

/**
 * Most responses are written past `res.write`, whose chunks cost more than the system call that sends them: a chunk is framed
 * once for all who are sent the same bytes, and handed to their sockets. See `#isDirect`.
 */
class NodeSink implements Sink {
  readonly #res: ServerResponse
  /** The connection, over HTTP/2 the stream. Null for a request that waits behind another response of its connection. */
  readonly #stream: Socket | ServerHttp2Stream | null
  #socket: Socket | null = null
  #isDraining = false
  #listener: SinkListener | null = null

  constructor(res: ServerResponse | Http2ServerResponse) {
    // As far as it is used here, the compatibility API has the same methods.
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
    // Node gives a pipelined response its socket when the response before it has ended, which after a stream is never, and
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

    // No other response may follow chunks that Node knows nothing of. It also spares Chromium the five seconds for which it
    // otherwise keeps the connection of a cancelled response. HTTP/1.0 closes anyway, HTTP/2 has no such header.
    res.writeHead(200, res.req.httpVersion === '1.1' ? { ...headers, Connection: 'close' } : headers).flushHeaders()
    if (stream instanceof Socket && this.#isDirect()) this.#socket = stream
    // An unread request body would pause the socket, and a paused socket does not see the client leave.
    res.req.resume()
    res.on('close', this.#gone)
    stream.on('close', this.#gone)
    // Node answers a client's FIN with its own. What waits for a client that does not read keeps `close` away. Over HTTP/2
    // it is only the request that has ended.
    if (stream instanceof Socket) stream.on('end', this.#gone)
    return 'open'
  }

  /** Not over HTTP/1.0 or with a length, which have no chunks, and not where a middleware compresses the bytes, or wants to see them. */
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
      // Nothing waits in the response then, so it never emits `drain`.
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
    // Without an error, a stream of HTTP/2 would end as if it were complete.
    this.#res.destroy(this.#stream instanceof Socket ? undefined : new Error('The stream was cut off.'))
  }

  onClose(callback: () => void): void {
    this.#res.on('close', callback)
  }

  #gone = (cause?: unknown): void => this.#listener?.gone(cause)
}

/** What is written to a socket in this turn of the event loop leaves in one system call. */
function gather(socket: Socket): void {
  if (socket.writableCorked > 0) return
  socket.cork()
  process.nextTick(uncork, socket)
}

function uncork(socket: Socket): void {
  socket.uncork()
}

const CRLF = Buffer.from('\r\n')

/** The newest chunk: those who are sent the same bytes are sent them one after the other. */
let newest: { bytes: Uint8Array; chunk: Buffer } | null = null

/** Bytes framed as a chunk of HTTP/1.1. */
function chunkOf(bytes: Uint8Array): Buffer {
  if (newest?.bytes === bytes) return newest.chunk
  const chunk = Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, CRLF])
  if (newest === null) queueMicrotask(() => (newest = null))
  newest = { bytes, chunk }
  return chunk
}
