/** Real servers and raw clients on loopback, for tests. Everything started here ends with its test. */

import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** Serves on a free port, and resolves to it. */
export async function serve(listener: (...request: Parameters<RequestListener>) => unknown): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A client that sends exactly the given bytes, and may misbehave. */
export class Client {
  readonly socket: Socket
  /** Everything received, as text. */
  received = ''
  /** Resolves when the connection is gone, for any reason. */
  readonly closed: Promise<void>

  constructor(port: number, text = '') {
    // Half-open: it does not leave because the server does, and can keep reading when it has no more to send.
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket.setEncoding('utf8').on('data', (more: string) => (this.received += more))
    this.socket.on('error', () => undefined) // Resets are expected.
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    this.socket.write(text)
    onTestFinished(() => void this.socket.destroy())
  }

  /** Waits for `expected`, and returns everything received. */
  async until(expected: RegExp): Promise<string> {
    const { socket } = this
    await new Promise<void>((resolve, reject) => {
      const done = (settle: () => void): void => {
        socket.off('data', look).off('end', missed).off('close', missed)
        settle()
      }
      const look = (): void => {
        if (expected.test(this.received)) done(resolve)
      }
      const missed = (): void =>
        done(() => reject(new Error(`It ended without ${String(expected)}:\n${this.received}`)))
      socket.on('data', look).on('end', missed).on('close', missed)
      look()
      if (socket.readableEnded || socket.closed) missed()
    })
    return this.received
  }

  /** Waits until the server has sent everything, or is gone, and returns everything received. */
  async toEnd(): Promise<string> {
    const { socket } = this
    if (!socket.readableEnded && !socket.closed)
      await new Promise<void>((resolve) => socket.once('end', resolve).once('close', () => resolve()))
    return this.received
  }
}

/** The head of a request: all of a request without a body. */
export function request(method: string, path = '/', headers: Record<string, string> = {}): string {
  const lines = Object.entries({ Host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** The events in the body of a stream, field by field. */
export function eventsOf(body: string): Record<string, string>[] {
  const blocks = body.split('\n\n').slice(0, -1)
  return blocks.map((block) =>
    Object.fromEntries(
      block.split('\n').map((line): [string, string] => {
        const colon = line.indexOf(': ')
        return [line.slice(0, colon), line.slice(colon + 2)]
      }),
    ),
  )
}
