import type { Socket } from 'node:net'
import type { RequestHandler } from 'express'

/** Bytes to the server and from it. */
export interface Bytes {
  up: number
  down: number
}

/**
 * Attributes the bytes that sockets really carried, headers and framing included.
 *
 * A connection serves one request after the other, including requests that are not measured. So a socket's bytes are settled at the
 * end of every response: all bytes since the last one belong to this one. (If a client pipelines, which no browser does, they are
 * settled with the response before.)
 */
export class Meter {
  /** The settled bytes of each socket. */
  readonly #settled = new WeakMap<Socket, Bytes>()
  /** The account to which a socket's bytes are currently counted. */
  readonly #accounts = new Map<Socket, Bytes>()

  /** The account of a socket's last request. */
  readonly #last = new WeakMap<Socket, Bytes>()

  /** Must see every request of the server before any other handler. */
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

  /** The account of this socket's last request, even after it was answered. */
  last(socket: Socket): Bytes | undefined {
    return this.#last.get(socket)
  }

  /** Settles, and counts further bytes to no account until the next `assign`. */
  release(socket: Socket): void {
    this.#settle(socket, this.#accounts.get(socket))
    this.#accounts.delete(socket)
  }

  /** Updates the accounts of all connections in use. */
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
