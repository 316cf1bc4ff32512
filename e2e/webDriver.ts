import { literal } from './literal'

/** A WebDriver session over HTTP. Commands go to the current window, so they take turns. */
export class WebDriver {
  readonly #session: string
  /** The first window. It stays open, because a session needs one to open others. */
  readonly #home: string
  #window: string
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(session: string, home: string) {
    this.#session = session
    this.#home = home
    this.#window = home
  }

  static async begin(address: string, capabilities: object): Promise<WebDriver> {
    const { sessionId } = await request<{ sessionId: string }>('POST', `${address}/session`, {
      capabilities: { alwaysMatch: capabilities },
    })
    const session = `${address}/session/${sessionId}`
    return new WebDriver(session, await request<string>('GET', `${session}/window`))
  }

  end(): Promise<void> {
    return this.#inTurn(() => request('DELETE', this.#session))
  }

  async open(type: 'window' | 'tab'): Promise<string> {
    const { handle } = await this.send<{ handle: string }>(this.#home, 'POST', '/window/new', { type })
    return handle
  }

  /** Sends a command to a window. */
  send<Value>(window: string, method: 'GET' | 'POST' | 'DELETE', command: string, body?: object): Promise<Value> {
    return this.#inTurn(async () => {
      if (this.#window !== window) await request('POST', `${this.#session}/window`, { handle: window })
      this.#window = window
      return request<Value>(method, this.#session + command, body)
    })
  }

  /** Runs a function in a page, and resolves to what it returns. */
  async evaluate<Result>(window: string, run: (...args: never[]) => unknown, args: unknown[]): Promise<Result> {
    const call = `(${String(run)})(${args.map(literal).join()})`
    const script = `
      const done = arguments[0]
      const run = async () => JSON.stringify({ value: await ${call} })
      run().then(done, (error) => done(JSON.stringify({ error: String(error), stack: String(error?.stack) })))`
    const answer = await this.send<string>(window, 'POST', '/execute/async', { script, args: [] })
    const { value, error, stack } = JSON.parse(answer) as { value: Result; error?: string; stack?: string }
    if (error !== undefined) throw new Error(`In the page: ${error}\n${stack ?? ''}`)
    return value
  }

  #inTurn<Value>(command: () => Promise<Value>): Promise<Value> {
    const result = this.#turn.then(command)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

async function request<Value>(method: string, address: string, body?: object): Promise<Value> {
  const response = await fetch(address, { method, body: body ? JSON.stringify(body) : null })
  const { value } = (await response.json()) as { value: Value }
  if (!response.ok) throw new Error(`WebDriver: ${method} ${new URL(address).pathname}: ${JSON.stringify(value)}`)
  return value
}
