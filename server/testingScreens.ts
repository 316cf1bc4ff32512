/** Screens that show a feed, and writers that change it, over HTTP, whatever becomes of the servers. */

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import { expect, onTestFinished } from 'vitest'
import { inboxPaths } from '../shared/demos/inbox'
import { itemPathOf, itemsPathOf } from '../shared/demos/todos'

/** Gives the address of a server that may be asked, another one each time. */
export type AnyServer = () => string

export interface Screen<State> {
  state: State
  /** The names of its events, in order. */
  events: string[]
  /** -1 before it was connected once. */
  reconnects: number
  /** The server has said that there is no more. */
  isFinished: boolean
  leave: () => void
}

/** What a page does: it keeps one stream, comes back with the last id that it has, and reduces what comes. */
export function screenOf<State>(
  server: AnyServer,
  path: string,
  initial: State,
  reduce: (state: State, event: never) => State,
): Screen<State> {
  const leaving = new AbortController()
  const leave = (): void => leaving.abort()
  const screen: Screen<State> = { state: initial, events: [], reconnects: -1, isFinished: false, leave }
  onTestFinished(leave)
  let lastEventId = ''
  const parser = createParser({
    onEvent: ({ event, data, id }) => {
      lastEventId = id ?? lastEventId
      screen.events.push(event ?? 'message')
      screen.isFinished = event === 'close'
      const value: unknown = screen.isFinished ? data : JSON.parse(data)
      screen.state = reduce(screen.state, { event, data: value } as never)
    },
  })
  const watch = async (): Promise<void> => {
    while (!leaving.signal.aborted && !screen.isFinished) {
      parser.reset()
      try {
        const headers = lastEventId === '' ? {} : { 'Last-Event-ID': lastEventId }
        const { status, body } = await fetch(server() + path, { headers, signal: leaving.signal })
        if (status === 204) screen.isFinished = true
        if (status === 200) {
          screen.reconnects++
          for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) parser.feed(text)
        }
      } catch {
        // It was killed, or is not back yet.
      }
      await sleep(20)
    }
  }
  void watch()
  return screen
}

/** Sends a change until it is answered: whether one that was not has happened, nobody knows. */
async function send(
  server: AnyServer,
  method: string,
  path: string,
  params?: Record<string, string>,
): Promise<Response> {
  for (;;) {
    try {
      const response = await fetch(server() + path, {
        method,
        ...(params ? { body: new URLSearchParams(params) } : {}),
      })
      const text = await response.text()
      return new Response(text, response)
    } catch {
      await sleep(20)
    }
  }
}

type Items = Map<string, { title: string; completed: boolean }>

/** Changes a list and an inbox, and remembers what was acknowledged. */
export class Writer {
  /** Its own items, by id, as a server has acknowledged them. */
  readonly todos: Items = new Map()
  /** Messages that a server has acknowledged. */
  readonly messages: string[] = []
  /** How many it has begun. */
  changes: number = 0
  readonly #server: AnyServer
  readonly #list: string
  readonly #user: string
  #isPaused = false
  #running: Promise<void> = Promise.resolve()

  constructor(server: AnyServer, list: string, user: string) {
    this.#server = server
    this.#list = list
    this.#user = user
  }

  start(): void {
    this.#isPaused = false
    this.#running = this.#run()
  }

  /** Resolves when everything that it has begun is acknowledged. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isPaused) {
      this.changes++
      await [this.#add, this.#change, this.#change, this.#remove, this.#write, this.#write, this.#read][
        Math.floor(Math.random() * 7)
      ]?.call(this)
    }
  }

  async #add(): Promise<void> {
    if (this.todos.size >= 20) return this.#remove()
    const id = randomUUID()
    expect(await this.#send('POST', itemsPathOf(this.#list), { id, title: id })).toBe(201)
    this.todos.set(id, { title: id, completed: false })
  }

  async #change(): Promise<void> {
    const [id, todo] = this.#any() ?? []
    if (id === undefined || !todo) return this.#add()
    const changed = { title: randomUUID(), completed: !todo.completed }
    const params = { title: changed.title, completed: String(changed.completed) }
    expect(await this.#send('PATCH', itemPathOf(this.#list, id), params)).toBe(200)
    this.todos.set(id, changed)
  }

  async #remove(): Promise<void> {
    const [id] = this.#any() ?? []
    if (id === undefined) return
    expect(await this.#send('DELETE', itemPathOf(this.#list, id))).toBe(200)
    this.todos.delete(id)
  }

  async #write(): Promise<void> {
    const id = randomUUID()
    const status = await this.#send('POST', inboxPaths.messages, { user: this.#user, from: 'bob', text: id, id })
    if (status === 409) return this.#read()
    expect(status).toBe(201)
    this.messages.push(id)
  }

  async #read(): Promise<void> {
    expect(await this.#send('POST', inboxPaths.read, { user: this.#user })).toBe(200)
  }

  async #send(method: string, path: string, params?: Record<string, string>): Promise<number> {
    const response = await send(this.#server, method, path, params)
    return response.status
  }

  #any(): [string, { title: string; completed: boolean }] | undefined {
    const all = [...this.todos]
    return all[Math.floor(Math.random() * all.length)]
  }
}
