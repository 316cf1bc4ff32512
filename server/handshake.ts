import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import type { Duplex } from 'node:stream'

/** A listener for a server's `upgrade` event. */
export type UpgradeListener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void

const handshakes = new WeakSet<IncomingMessage>()

/** Whether this request is a WebSocket handshake: its socket is no longer read as HTTP, and can be handed over. */
export function isHandshake(req: IncomingMessage): boolean {
  return handshakes.has(req)
}

/**
 * Passes WebSocket handshakes to the application as ordinary requests, so the same guards, address handling, limits and errors
 * apply to them.
 *
 * The response stays with its socket even after that has become a WebSocket: it is closed with the connection, so code that counts
 * open responses counts WebSockets too.
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
      // Pipelined behind a response that still has the socket.
      socket.destroy()
      return
    }
    // Only refusals finish.
    res.once('finish', () => req.socket.destroySoon())
    application(req, res)
  }
}

/** Whether a request asks for WebSocket. Curl and Java's client ask for HTTP/2 without TLS through the same header. */
export function wantsWebSocket(req: IncomingMessage): boolean {
  return req.headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * A request that is an upgrade only if it asks for WebSocket. Once a server listens for `upgrade`, Node hands over every request
 * for any other protocol, and does not read its body. But Node checks this property first, and a server may ignore an upgrade.
 */
export class Incoming extends IncomingMessage {
  declare private asked: boolean

  get upgrade(): boolean {
    return this.asked && (this.method === 'CONNECT' || wantsWebSocket(this))
  }

  set upgrade(asked: boolean) {
    this.asked = asked
  }
}
