import { createHash } from 'node:crypto'
import { createClient, ErrorReply, RESP_TYPES } from '@redis/client'
import { EventLogError } from '../sse/eventLog'

export interface ConnectionOptions {
  /** `redis://` or, with TLS, `rediss://`, user and password included. */
  url: string
  /** Milliseconds without an answer after which the connection is closed and opened again. */
  answerTimeout: number
  /** Redis is there, and every subscription that had been made. */
  onConnect: () => void
  /** Redis is gone, or not there to begin with. It is tried again for as long as it takes. */
  onDisconnect: (error: Error) => void
}

/** Milliseconds before another attempt to connect: doubled each time, with jitter over half of it. */
const FIRST_DELAY = 50
const MAX_DELAY = 2_000

/** Seconds. */
const RETRY_AFTER = 5

const shas = new Map<string, string>()

/** The one connection of a process to Redis, for scripts and subscriptions alike. */
export class Connection {
  readonly #client: ReturnType<typeof createClient>
  readonly #options: ConnectionOptions
  #isLost = false
  #isClosed = false

  constructor(options: ConnectionOptions) {
    const { url, answerTimeout } = options
    this.#options = options
    this.#client = createClient({
      url,
      // What cannot be sent fails at once: the hub knows what may be repeated.
      disableOfflineQueue: true,
      // The deadline of a call is the hub's.
      commandOptions: { timeout: 0 },
      pingInterval: answerTimeout / 2,
      socket: {
        connectTimeout: answerTimeout,
        socketTimeout: answerTimeout,
        reconnectStrategy: (attempt) => Math.min(FIRST_DELAY * 2 ** attempt, MAX_DELAY) * (0.5 + Math.random() / 2),
      },
    })
    this.#client.on('error', (error: Error) => this.#lost(error))
    this.#client.on('ready', () => {
      this.#isLost = false
      options.onConnect()
    })
    // Its failures are events, too.
    this.#client.connect().catch(() => undefined)
  }

  get isReady(): boolean {
    return this.#client.isReady
  }

  /** Runs a script on the keys that begin with this one. Strings come as bytes. @throws EventLogError */
  async run(script: string, key: string, args: readonly (string | Buffer)[]): Promise<unknown> {
    if (this.#isClosed) throw new EventLogError('closed', 'The log is closed: the server is shutting down.')
    const options = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } }
    try {
      try {
        return await this.#client.sendCommand(['EVALSHA', shaOf(script), '1', key, ...args], options)
      } catch (error) {
        if (!isReply(error, 'NOSCRIPT')) throw error
        return await this.#client.sendCommand(['EVAL', script, '1', key, ...args], options)
      }
    } catch (error) {
      if (isReply(error, 'OOM'))
        throw new EventLogError('bytes', 'There is no room for more events: try again later.', 30, { cause: error })
      throw new EventLogError('unavailable', 'The event log cannot be reached: try again.', RETRY_AFTER, {
        cause: error,
      })
    }
  }

  /** Resolves when every later message will be heard. The subscription outlives the connection. */
  subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    return this.#client.sSubscribe(channel, listener, true)
  }

  unsubscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    return this.#client.sUnsubscribe(channel, listener, true)
  }

  close(): void {
    this.#isClosed = true
    this.#client.destroy()
  }

  #lost(error: Error): void {
    // Every attempt that fails is an error again.
    if (this.#isLost || this.#isClosed) return
    this.#isLost = true
    this.#options.onDisconnect(error)
  }
}

function shaOf(script: string): string {
  const sha = shas.get(script) ?? createHash('sha1').update(script).digest('hex')
  shas.set(script, sha)
  return sha
}

function isReply(error: unknown, code: string): boolean {
  return error instanceof ErrorReply && error.message.startsWith(code)
}
