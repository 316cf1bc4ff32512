import type { Socket } from 'node:net'
import type { RequestHandler } from 'express'

/** Bytes towards the server and away from it. */
export interface Bytes {
  up: number
  down: number
}

/**
 * Shares out the bytes that sockets have really carried, headers and framing included.
 *
 * A connection serves one request after the other, also such that are nobody's here. So a socket's bytes are settled at the end of
 * every response: what has come and gone since the last one belongs to this one. (A client that pipelines, which no browser does, has
 * them settled with the response before.)
 */
export class Meter {
  /** What of a socket has been settled. */
  readonly #settled = new WeakMap<Socket, Bytes>()
  /** Whose the bytes of a socket are at present. */
  readonly #accounts = new Map<Socket, Bytes>()

  /** Whose request a socket has carried last. */
  readonly #last = new WeakMap<Socket, Bytes>()

  /** Has to see every request that the server answers, and before anything else does. */
  readonly watch: RequestHandler = ({ socket }, res, next) => {
    this.#last.delete(socket)
    res.once('close', () => this.release(socket))
    next()
  }

  /** From the end of the last response on, the socket's bytes are counted into `account`. */
  assign(socket: Socket, account: Bytes): void {
    this.#accounts.set(socket, account)
    this.#last.set(socket, account)
  }

  /** The account that the last request of this socket was assigned to, also when it has been answered. */
  last(socket: Socket): Bytes | undefined {
    return this.#last.get(socket)
  }

  /** Settles, and what comes from now on is nobody's, until it is assigned. */
  release(socket: Socket): void {
    this.#settle(socket, this.#accounts.get(socket))
    this.#accounts.delete(socket)
  }

  /** Brings the accounts of the connections that are in use up to date. */
  settle(): void {
    for (const [socket, account] of this.#accounts) this.#settle(socket, account)
  }

  #settle(socket: Socket, account?: Bytes): void {
    const { bytesRead: up, bytesWritten: down } = socket
    const before = this.#settled.get(socket) ?? { up: 0, down: 0 }
    if (account) {
      account.up += up - before.up
      account.down += down - before.down
    }
    this.#settled.set(socket, { up, down })
  }
}
