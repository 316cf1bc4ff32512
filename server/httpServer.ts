import { createServer, STATUS_CODES, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { Connections } from './connections'
import { Incoming } from './handshake'

export interface HttpServerOptions {
  /** Milliseconds that a client may take to send its request. Responses may take longer. @default 20_000 */
  requestTimeout?: number
  /** Milliseconds that a connection waits for the next request. @default 75_000, longer than most load balancers keep it */
  keepAliveTimeout?: number
  /** Connections at once. @default no limit */
  maxConnections?: number
}

export interface HttpServer {
  server: Server
  connections: Connections
}

/** Milliseconds for a client to read why it was refused, before its connection is closed. */
const LINGER = 1_000

/** Milliseconds of silence after which the kernel probes the client. */
const PROBE_AFTER = 60_000

/** An HTTP server that answers JSON even to what never becomes a request: headers that are malformed, too large or too slow. */
export function createHttpServer({
  requestTimeout = 20_000,
  keepAliveTimeout = 75_000,
  maxConnections = Infinity,
}: HttpServerOptions = {}): HttpServer {
  const server = createServer({
    headersTimeout: requestTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.min(requestTimeout, 5_000),
    keepAliveTimeout,
    keepAlive: true,
    keepAliveInitialDelay: PROBE_AFTER,
    // Node's own refusal would be empty, so the listener refuses requests without a Host.
    requireHostHeader: false,
    IncomingMessage: Incoming,
  })
  const connections = new Connections(server, maxConnections)
  // Expectations may be ignored.
  server.on('checkExpectation', (...request) => server.emit('request', ...request))
  server.on('request', (req, res) => {
    // Requests pipelined behind an upgrade are lost: tell the client.
    if (req.headers.upgrade !== undefined) res.shouldKeepAlive = false
  })
  const refuse = (socket: Duplex, error: Refusal): void => {
    if (connections.isAnswering(socket) || !socket.writable) socket.destroy()
    else answer(socket, error)
  }
  server.on('clientError', (error: Error & { code?: string }, socket) => {
    if (error.code === 'ECONNRESET') socket.destroy()
    else refuse(socket, explain(error.code))
  })
  server.on('connect', (_req, socket) => {
    socket.on('error', () => socket.destroy())
    refuse(socket, { status: 405, code: 'method', message: 'This is not a proxy.', head: 'Allow: GET, HEAD, POST\r\n' })
  })
  return { server, connections }
}

interface Refusal {
  status: number
  code: string
  message: string
  /** Header lines of its own. */
  head?: string
}

function answer(socket: Duplex, { status, code, message, head = '' }: Refusal): void {
  const body = JSON.stringify({ error: { code, message } })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json; charset=utf-8\r\n${head}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
  // Node no longer manages this socket, and the client may never close it.
  setTimeout(() => socket.destroy(), LINGER).unref()
}

function explain(error: string | undefined): Refusal {
  const code = 'request'
  switch (error) {
    case 'HPE_HEADER_OVERFLOW':
      return {
        status: 431,
        code,
        message: 'The address and headers are larger than 16 KiB: send the content with POST.',
      }
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, code, message: 'The request took too long to arrive.' }
    default:
      return { status: 400, code, message: 'This is not an HTTP request.' }
  }
}
