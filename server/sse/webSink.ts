import { lastEventIdOf, type Opening, type Sink, type SinkListener } from './sink.js'

/** A sink, and the `Response` to return once an emitter was created from it. */
export interface WebSink extends Sink {
  readonly response: Response
}

/** A web-standard `Response`: for Hono, h3 (and so Nuxt), SvelteKit, and anything that serves `fetch` handlers. */
export function webSink(request: Request): WebSink {
  return new ResponseSink(request)
}

/** A `ReadableStreamDefaultController`, whose types differ between Node and the DOM, and a project may have both. */
interface Controller {
  readonly desiredSize: number | null
  enqueue: (bytes: Uint8Array) => void
  close: () => void
  error: (error: Error) => void
}

/** Bytes that may wait before `write` returns false. */
const HIGH_WATER_MARK = 16 * 1_024

class ResponseSink implements WebSink {
  readonly #request: Request
  #response: Response | null = null
  /** Null if nothing can be sent: before `open`, for HEAD, and after the end. */
  #controller: Controller | null = null
  #isDraining = false
  /** The body ends once all waiting bytes are read. */
  #isEnding = false
  #unread: NodeJS.Timeout | undefined
  #closed = false
  #listener: SinkListener | null = null
  #onClose: readonly (() => void)[] = []

  constructor(request: Request) {
    this.#request = request
  }

  get response(): Response {
    if (!this.#response) throw new TypeError('There is no response yet: make an SseEmitter of this sink first.')
    return this.#response
  }

  get lastEventId(): string | null {
    return lastEventIdOf(this.#request.headers.get('Last-Event-ID'), this.#request.url)
  }

  get writable(): boolean {
    return this.#controller !== null && !this.#isEnding
  }

  get unsent(): number {
    return HIGH_WATER_MARK - (this.#controller?.desiredSize ?? HIGH_WATER_MARK)
  }

  get closed(): boolean {
    return this.#closed
  }

  open(headers: Readonly<Record<string, string>>, listener: SinkListener): Opening {
    const { method, signal } = this.#request
    const hasBody = method !== 'HEAD' && !signal.aborted
    this.#response = new Response(hasBody ? this.#body() : null, { headers: { ...headers } })
    if (signal.aborted) return 'gone'
    if (!hasBody) return 'head'
    this.#listener = listener
    signal.addEventListener('abort', this.#aborted)
    return 'open'
  }

  #body(): ReadableStream<Uint8Array> {
    // Not of type `bytes`: that would detach buffers that are shared with other receivers.
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#settle(),
        cancel: (reason) => this.#gone(reason),
      },
      { highWaterMark: HIGH_WATER_MARK, size: (bytes) => bytes.byteLength },
    )
  }

  write(bytes: Uint8Array): boolean {
    this.#controller?.enqueue(bytes)
    if (this.unsent >= HIGH_WATER_MARK) this.#isDraining = true
    return !this.#isDraining
  }

  end(timeout: number): void {
    this.#listener = null
    this.#isEnding = true
    if (this.#closed) return
    this.#settle()
    if (this.#controller) this.#unread = setTimeout(() => this.destroy(), timeout).unref()
  }

  destroy(): void {
    this.#controller?.error(new Error('The stream was cut off.'))
    this.#close()
  }

  onClose(callback: () => void): void {
    this.#onClose = [...this.#onClose, callback]
  }

  /** Once everything is read: ends the body, or reports the drain. */
  #settle(): void {
    if (this.unsent > 0) return
    if (this.#isEnding) {
      this.#controller?.close()
      this.#close()
    } else if (this.#isDraining) {
      this.#isDraining = false
      this.#listener?.drained()
    }
  }

  #aborted = (): void => {
    // Nobody reads the body any more, but the server may wait for its end.
    this.#controller?.close()
    this.#gone(this.#request.signal.reason)
  }

  #gone(cause: unknown): void {
    const listener = this.#listener
    this.#close()
    listener?.gone(cause)
  }

  #close(): void {
    this.#controller = null
    this.#closed = true
    clearTimeout(this.#unread)
    this.#request.signal.removeEventListener('abort', this.#aborted)
    for (const callback of this.#onClose) callback()
    this.#onClose = []
  }
}
