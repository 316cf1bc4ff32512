import { createServer, STATUS_CODES, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { headWithoutUpgrade, wantsWebSocket } from './handshake'

/** Milliseconds that a client may take to send its request. A stream that is being answered may last. */
const REQUEST_TIMEOUT = 20_000

/** Milliseconds for a client to read why it was refused, before its connection is gone. */
const LINGER = 1_000

/** An HTTP server that answers as JSON also what never becomes a request: headers that are malformed, too large or too slow. */
export function createHttpServer(listener?: RequestListener, requestTimeout: number = REQUEST_TIMEOUT): Server {
  const server = createServer({
    headersTimeout: requestTimeout,
    requestTimeout,
    connectionsCheckingInterval: Math.min(requestTimeout, 5_000),
    // Node's refusals are empty. A request without a Host is the listener's to refuse, and an expectation may be ignored.
    requireHostHeader: false,
  })
  server.on('checkExpectation', (...request) => server.emit('request', ...request))
  if (listener) server.on('request', listener)
  // Node hands over every request that asks for another protocol, once anybody listens to it. Only WebSocket is the application's.
  server.on('upgrade', (req, socket, head) => {
    if (wantsWebSocket(req)) return
    socket.unshift(Buffer.concat([headWithoutUpgrade(req), head]))
    server.emit('connection', socket)
  })

  const answers = new WeakMap<Duplex, Set<ServerResponse>>()
  server.on('request', ({ socket }, res) => {
    const open = answers.get(socket) ?? new Set()
    answers.set(socket, open.add(res))
    res.once('close', () => open.delete(res))
  })
  return server.on('clientError', (error, socket) => {
    // In the middle of an answer, another one would become a part of it.
    const answering = [...(answers.get(socket) ?? [])].some(({ headersSent }) => headersSent)
    if (answering) socket.destroy()
    else refuse(error, socket)
  })
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
  // Node no longer looks after it, and the client may never close.
  setTimeout(() => socket.destroy(), LINGER).unref()
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
