import { ServerResponse, type IncomingMessage, type RequestListener } from 'node:http'
import type { Duplex } from 'node:stream'

/** What listens to a server's `upgrade` event. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void

const handshakes = new WeakSet<IncomingMessage>()

/** Whether this request came as a WebSocket handshake: its socket is no longer read as HTTP, and can be handed over. */
export function isHandshake(req: IncomingMessage): boolean {
  return handshakes.has(req)
}

/**
 * Gives WebSocket handshakes to the application as the requests that they also are. The guards of every request are theirs then,
 * and so are the client's address, the limits and the errors.
 *
 * The response stays with its socket also after that has become a WebSocket: it is closed when the connection is, which is what those
 * wait for who count what is open.
 */
export function handshakesTo(application: RequestListener): UpgradeListener {
  return (req, socket, head) => {
    handshakes.add(req)
    socket.on('error', () => socket.destroy())
    if (head.length > 0) socket.unshift(head)
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    try {
      res.assignSocket(req.socket)
    } catch {
      // Pipelined behind an answer that still has the socket.
      socket.destroy()
      return
    }
    // Only a refusal finishes.
    res.once('finish', () => req.socket.destroySoon())
    application(req, res)
  }
}

/** Whether a request asks for WebSocket. HTTP/2 without TLS is asked for in the same way, by curl and by Java's client. */
export function wantsWebSocket(req: IncomingMessage): boolean {
  return req.headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * The head of a request without its wish for another protocol, which a server may ignore. A body is still to come, so it has to be
 * read as HTTP once more: but only once on one connection.
 */
export function headWithoutUpgrade(req: IncomingMessage): Buffer {
  const { rawHeaders } = req
  const lines = [`${req.method ?? 'GET'} ${req.url ?? '/'} HTTP/1.1`]
  for (let n = 0; n + 1 < rawHeaders.length; n += 2) {
    const name = rawHeaders[n] ?? ''
    if (!/^(upgrade|connection)$/i.test(name)) lines.push(`${name}: ${rawHeaders[n + 1] ?? ''}`)
  }
  return Buffer.from(`${lines.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1')
}
