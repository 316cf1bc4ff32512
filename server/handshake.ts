import { IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
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
 * A request that is an upgrade only if it asks for WebSocket. Once a server listens for `upgrade`, Node hands it every request
 * that asks for any other protocol, and reads no body. It looks at this property first, and a server may ignore such a wish.
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
