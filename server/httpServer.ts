import { createServer, STATUS_CODES, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'

/** Milliseconds that a client may take to send its request. A stream that is being answered may last. */
const REQUEST_TIMEOUT = 20_000

/** An HTTP server that answers as JSON also what never becomes a request: headers that are malformed, too large or too slow. */
export function createHttpServer(listener?: RequestListener, requestTimeout: number = REQUEST_TIMEOUT): Server {
  const server = createServer({
    headersTimeout: requestTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.min(requestTimeout, 5_000),
  })
  if (listener) server.on('request', listener)
  return server.on('clientError', refuse)
}

function refuse(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, message] = explain(error.code)
  const body = JSON.stringify({ error: { code: 'request', message } })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}

function explain(code: string | undefined): [number, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'The address and headers are larger than 16 KiB: send the content with POST.']
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'The request took too long to arrive.']
    default:
      return [400, 'This is not an HTTP request.']
  }
}
