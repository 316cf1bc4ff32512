import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { clock, type KeptEvent, type Run } from './run'
import type { WebhookReceiver } from './webhookReceiver'

/** Milliseconds before a delivery is retried, and that one may take. */
const RETRY = 1_000
const TIMEOUT = 5_000

/** Deliveries that are stored for the page. */
const KEPT = 1_000

/**
 * Delivers a run's events with one POST each, in order, and retries each until it is accepted. Like any good sender, it keeps the
 * connection between deliveries.
 */
export class Webhook {
  /** What the receiver got: an event's number, its delay in milliseconds, and when it was created. */
  readonly deliveries: [n: number, delay: number, time: number][] = []
  /** Failed deliveries that were retried. */
  repeated = 0
  /** The number of the event after which it was last enabled. */
  after = 0
  readonly #run: Run
  readonly #receiver: WebhookReceiver
  #abort: AbortController | null = null

  constructor(run: Run, receiver: WebhookReceiver) {
    this.#run = run
    this.#receiver = receiver
    run.signal.addEventListener('abort', () => this.#abort?.abort())
  }

  /** Enables deliveries from the next event on, or disables them. */
  async use(on: boolean): Promise<void> {
    if (on === (this.#abort !== null)) return
    this.#abort?.abort()
    const abort = on ? new AbortController() : null
    this.#abort = abort
    if (!abort) return

    const { signal } = abort
    const opening = this.#receiver.open(({ n, time }) => {
      this.deliveries.push([n, clock() - time, time])
      if (this.deliveries.length > KEPT) this.deliveries.shift()
    })
    const address = await opening.catch((error: unknown) => {
      if (this.#abort === abort) this.#abort = null
      throw error
    })
    void this.#deliver(address.url, signal).finally(address.close)
  }

  async #deliver(url: string, signal: AbortSignal): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    signal.addEventListener('abort', () => agent.destroy())
    let last = (this.after = this.#run.newest)
    while (!signal.aborted) {
      const [event] = this.#run.after(last)
      if (!event) {
        await this.#next(signal)
        continue
      }
      try {
        await this.#post(url, event, agent, signal)
        last = event.n
      } catch {
        this.repeated++
        await sleep(RETRY, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  #post(url: string, event: KeptEvent, agent: Agent, signal: AbortSignal): Promise<void> {
    const { figures } = this.#run
    figures.webhook.requests++
    const headers = { 'Content-Type': 'application/json', 'Content-Length': event.text.length }
    return new Promise((resolve, reject) => {
      const req = request(url, { method: 'POST', headers, agent, signal, timeout: TIMEOUT })
      req.on('socket', (socket) => {
        if (req.reusedSocket) return
        this.#run.connect('webhook', socket)
        socket.once('close', () => this.#run.disconnect(socket))
      })
      req.on('timeout', () => req.destroy(new Error('The receiver took too long.')))
      req.on('error', reject)
      req.on('response', (res) => {
        res.resume().on('error', reject)
        res.on('end', () => {
          if (res.statusCode === 204) {
            this.#run.sent('webhook', [event])
            resolve()
          } else reject(new Error(`The receiver answered ${res.statusCode ?? 0}.`))
        })
      })
      req.end(event.text)
    })
  }

  /** Resolves with the next event, or when there will be no more. */
  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        stop()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const stop = this.#run.listen(done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }
}
