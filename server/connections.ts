import type { Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * The connections of a server, and the pending responses on each.
 *
 * When there are more than `max`, the one that has waited longest for a complete request is closed: a client that connects and stays
 * silent does not keep others out. A connection that carries a stream is never closed to make room.
 */
export class Connections {
  /** The one that has waited longest first. Null for a connection that has become a WebSocket. */
  readonly #answers = new Map<Duplex, Set<ServerResponse> | null>()
  /** On closed connections. */
  #bytesWritten = 0

  constructor(server: Server, max: number) {
    server.on('connection', (socket) => {
      this.#answers.set(socket, new Set())
      socket.once('close', () => {
        this.#answers.delete(socket)
        this.#bytesWritten += writtenTo(socket)
      })
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

  /** Since the server started. */
  get bytesWritten(): number {
    let sum = this.#bytesWritten
    for (const socket of this.#answers.keys()) sum += writtenTo(socket)
    return sum
  }

  /** Whether a response is in progress on this connection: another one would become part of it. */
  isAnswering(socket: Duplex): boolean {
    return [...(this.#answers.get(socket) ?? [])].some(({ headersSent }) => headersSent)
  }

  /** Closes connections that have never sent anything, which Node does not count as idle: browsers open them ahead of a request. */
  closeUnused(): void {
    for (const [socket, answers] of this.#answers) if (answers && !hasRead(socket)) socket.destroy()
  }

  #done(socket: Duplex, res: ServerResponse): void {
    const answers = this.#answers.get(socket)
    if (!answers?.delete(res)) return
    this.#answers.delete(socket)
    this.#answers.set(socket, answers)
  }

  /** Always finds one: the newest connection is waiting too. */
  #makeRoom(): void {
    for (const [socket, answers] of this.#answers) {
      if (!answers || ![...answers].every(isIncomplete)) continue
      this.#answers.delete(socket)
      socket.destroy()
      return
    }
  }
}

/** Whether the request is neither complete nor answered yet. */
function isIncomplete({ req, headersSent }: ServerResponse): boolean {
  return !req.complete && !headersSent
}

function hasRead(socket: Duplex): boolean {
  return 'bytesRead' in socket && socket.bytesRead !== 0
}

function writtenTo(socket: Duplex): number {
  return 'bytesWritten' in socket ? Number(socket.bytesWritten) : 0
}
