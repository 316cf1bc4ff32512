import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'

/** Faults of a stream, and how often each occurs, out of 100. */
const FAULTS = [
  ['reset', 25],
  ['end', 25],
  ['stall', 15],
  ['outage', 10],
  ['delay', 25],
] as const

/** Bytes of a stream between two faults. */
const LEAST = 50
const MOST = 2_500

/** A TCP proxy in front of a local server. It cuts, stalls, delays and fragments event streams, reproducibly by a seed. */
export class FaultyProxy {
  readonly #target: number
  readonly #seed: number
  readonly #between: boolean
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #connections = 0
  #outageUntil = 0
  /** Faults so far. */
  faults = 0
  #faulty = true

  /**
   * `between`: faults occur only between two events. A lost connection is then ended instead of reset, because a reset discards what
   * the client has not read yet.
   */
  constructor(target: number, seed: number, { between = false } = {}) {
    this.#target = target
    this.#seed = seed
    this.#between = between
    this.#server = createServer((client) => {
      if (this.#faulty && Date.now() < this.#outageUntil) client.resetAndDestroy()
      else this.#forward(client)
    })
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** No more faults from now on. */
  calm(): void {
    this.#faulty = false
  }

  async close(): Promise<void> {
    const closed = once(this.#server.close(), 'close')
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #forward(client: Socket): void {
    const server = connect(this.#target, '127.0.0.1')
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      // If one socket closes or fails, so does the other.
      socket
        .on('error', () => undefined)
        .on('close', () => {
          this.#sockets.delete(socket)
          other.destroy()
        })
    }
    client.pipe(server)
    // A generator per connection, so that its faults do not depend on other connections.
    this.#pump(server, client, generator(this.#seed + 7_919 * ++this.#connections)).catch(() => client.destroy())
  }

  async #pump(server: Socket, client: Socket, random: () => number): Promise<void> {
    const between = (least: number, most: number): number => least + Math.floor(random() * (most - least))
    let isStream = false
    let left = between(LEAST, MOST)
    for await (const chunk of server as AsyncIterable<Buffer>) {
      isStream ||= chunk.includes('Content-Type: text/event-stream')
      let rest = chunk
      while (rest.length > 0) {
        const hit = isStream && this.#faulty
        // Anywhere, even within a field or a character.
        let part = hit ? rest.subarray(0, Math.min(Math.max(left, 1), between(1, rest.length + 1))) : rest
        if (left <= 0 && rest.includes('\n\n')) part = rest.subarray(0, rest.indexOf('\n\n') + 2)
        rest = rest.subarray(part.length)
        if (!client.write(part)) await once(client, 'drain')
        if (!hit) continue
        await turn()
        left -= part.length
        if (left > 0 || (this.#between && !part.toString('latin1').endsWith('\n\n'))) continue
        this.faults++
        if (!(await this.#strike(client, random, between))) return
        left = between(LEAST, MOST)
      }
    }
    client.end()
  }

  /** Resolves to whether the connection continues. */
  async #strike(
    client: Socket,
    random: () => number,
    between: (least: number, most: number) => number,
  ): Promise<boolean> {
    let share = random() * 100
    const [fault] = FAULTS.find(([, each]) => (share -= each) < 0) ?? FAULTS[0]
    switch (fault) {
      case 'end':
        client.end()
        return false
      case 'stall':
        // Silence: no more data, and no end for a while.
        await sleep(between(20, 300))
        client.destroy()
        return false
      case 'outage':
        this.#outageUntil = Date.now() + between(10, 100)
        this.#lose(client)
        return false
      case 'delay':
        await sleep(between(5, 100))
        return true
      case 'reset':
        this.#lose(client)
        return false
    }
  }

  #lose(client: Socket): void {
    if (this.#between) client.end()
    else client.resetAndDestroy()
  }
}

/** Random numbers from 0 to 1, reproducible by a seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
