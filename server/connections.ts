import type { Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * The connections of a server, and the answers that each is to carry.
 *
 * There may be so many at once. One more, and the connection goes that has been waiting longest for its client to send a request:
 * a client that connects and says nothing takes nobody's place for long. One that carries a stream is never ended to make room.
 */
export class Connections {
  /** In the order in which they began to wait. Null for one that has become a WebSocket. */
  readonly #answers = new Map<Duplex, Set<ServerResponse> | null>()

  constructor(server: Server, max: number) {
    server.on('connection', (socket) => {
      this.#answers.set(socket, new Set())
      socket.once('close', () => this.#answers.delete(socket))
      if (this.#answers.size > max) this.#makeRoom()
    })
    server.on('request', ({ socket }, res) => {
      this.#answers.get(socket)?.add(res)
      res.once('close', () => this.#done(socket, res))
    })
    server.on('upgrade', (_req, socket) => this.#answers.set(socket, null))
  }

  get size(): number {
    return this.#answers.size
  }

  /** Whether an answer has begun and not ended on this connection: another one would become a part of it. */
  isAnswering(socket: Duplex): boolean {
    return [...(this.#answers.get(socket) ?? [])].some(({ headersSent }) => headersSent)
  }

  /** Closes those that wait for a first request. Node closes those that wait for another, and does not count these as idle. */
  closeUnused(): void {
    for (const [socket, answers] of this.#answers) if (answers && !hasRead(socket)) socket.destroy()
  }

  #done(socket: Duplex, res: ServerResponse): void {
    const answers = this.#answers.get(socket)
    if (!answers?.delete(res)) return
    this.#answers.delete(socket)
    this.#answers.set(socket, answers)
  }

  /** The newest waits too, so there is always one. */
  #makeRoom(): void {
    for (const [socket, answers] of this.#answers) {
      if (!answers || ![...answers].every(isIncomplete)) continue
      this.#answers.delete(socket)
      socket.destroy()
      return
    }
  }
}

/** Whether the request has not come to its end, and nothing has been answered yet. */
function isIncomplete({ req, headersSent }: ServerResponse): boolean {
  return !req.complete && !headersSent
}

function hasRead(socket: Duplex): boolean {
  return 'bytesRead' in socket && socket.bytesRead !== 0
}
