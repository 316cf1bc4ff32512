import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { parseComparisonEvent, type ComparisonEvent } from '../../../shared/demos/comparison'

const MAX_BODY_BYTES = 8_192

/**
 * A receiver of webhooks is a server with an address that the sender can reach. A page has none, so this server stands in for it, on
 * a port of its own, from when the first address is opened until the last is closed.
 */
export class WebhookReceiver {
  readonly #addresses = new Map<string, (event: ComparisonEvent) => void>()
  #server: Server | null = null

  /** Opens an address that nobody can guess; only that identifies the sender. @returns its URL, and a function that closes it. */
  async open(receive: (event: ComparisonEvent) => void): Promise<{ url: string; close: () => void }> {
    const path = `/webhooks/${randomUUID()}`
    this.#addresses.set(path, receive)
    this.#server ??= createServer((req, res) => void this.#answer(req, res)).listen(0, '127.0.0.1')
    const server = this.#server
    try {
      if (!server.listening) await once(server, 'listening')
    } catch (error) {
      this.#addresses.delete(path)
      if (this.#server === server) this.#server = null
      throw error
    }
    const { port } = server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}${path}`, close: () => this.#close(path) }
  }

  #close(path: string): void {
    if (!this.#addresses.delete(path) || this.#addresses.size > 0) return
    this.#server?.close()
    this.#server?.closeAllConnections()
    this.#server = null
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const receive = this.#addresses.get(req.url ?? '')
    const length = Number(req.headers['content-length'] ?? Infinity)
    // The connection is closed, because the body stays unread.
    const refuse = (status: number): unknown => res.writeHead(status, { Connection: 'close' }).end()
    if (!receive) return void refuse(404)
    if (req.method !== 'POST') return void refuse(405)
    if (!(length <= MAX_BODY_BYTES)) return void refuse(413)
    try {
      receive(parseComparisonEvent(await text(req)))
      res.writeHead(204).end()
    } catch {
      refuse(400)
    }
  }
}
