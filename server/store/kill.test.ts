/** The server is killed at random moments, `KILLS` times (10 by default; the long run has 200), while two clients write and four screens watch. */

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createParser } from 'eventsource-parser'
import { build } from 'vite'
import { expect, it, onTestFinished, vi } from 'vitest'
import { emptyInbox, inboxPaths, reduceInbox } from '../../shared/demos/inbox'
import { emptyList, itemPathOf, itemsPathOf, reduceTodos, todosPathOf } from '../../shared/demos/todos'
import { startProcess, type ServerProcess } from '../testingProcess'

const KILLS = Number(process.env['KILLS'] ?? 10)
vi.setConfig({ testTimeout: 120_000 + KILLS * 20_000 })

const LIST = 'shared'
const USER = 'ada'

/** Compiled, the server starts in a fraction of the time. */
async function compiled(): Promise<string> {
  const outDir = fileURLToPath(new URL('../../node_modules/.cache/kill', import.meta.url))
  const ssr = fileURLToPath(new URL('../testingStoreServer.ts', import.meta.url))
  await build({ configFile: false, logLevel: 'silent', build: { ssr, outDir } })
  return join(outDir, 'testingStoreServer.js')
}

interface Screen<State> {
  state: State
  reconnects: number
  leave: () => void
}

/** What a page does: it keeps one stream, comes back with the last id that it has, and reduces what comes. */
function screenOf<State>(url: string, initial: State, reduce: (state: State, event: never) => State): Screen<State> {
  const leaving = new AbortController()
  const screen: Screen<State> = { state: initial, reconnects: -1, leave: () => leaving.abort() }
  onTestFinished(() => leaving.abort())
  let lastEventId = ''
  const parser = createParser({
    onEvent: ({ event, data, id }) => {
      lastEventId = id ?? lastEventId
      screen.state = reduce(screen.state, { event, data: JSON.parse(data) as unknown } as never)
    },
  })
  const watch = async (): Promise<void> => {
    while (!leaving.signal.aborted) {
      parser.reset()
      try {
        const headers = lastEventId === '' ? {} : { 'Last-Event-ID': lastEventId }
        const { body } = await fetch(url, { headers, signal: leaving.signal })
        screen.reconnects++
        for await (const text of body?.pipeThrough(new TextDecoderStream()) ?? []) parser.feed(text)
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
async function send(method: string, url: string, params?: Record<string, string>): Promise<number> {
  for (;;) {
    try {
      const response = await fetch(url, { method, ...(params ? { body: new URLSearchParams(params) } : {}) })
      await response.text()
      return response.status
    } catch {
      await sleep(20)
    }
  }
}

class Writer {
  /** Its own items, by id, as the server has acknowledged them. */
  readonly todos = new Map<string, { title: string; completed: boolean }>()
  /** Messages that the server has acknowledged. */
  readonly messages: string[] = []
  changes = 0
  readonly #url: string
  #paused: Promise<void> | null = null
  #running: Promise<void> = Promise.resolve()

  constructor(url: string) {
    this.#url = url
  }

  start(): void {
    this.#paused = null
    this.#running = this.#run()
  }

  /** Resolves when everything that it has begun is acknowledged. */
  async pause(): Promise<void> {
    this.#paused = Promise.resolve()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#paused === null) {
      this.changes++
      await [this.#add, this.#change, this.#change, this.#remove, this.#write, this.#write, this.#read][
        Math.floor(Math.random() * 7)
      ]?.call(this)
    }
  }

  async #add(): Promise<void> {
    if (this.todos.size >= 40) return this.#remove()
    const id = randomUUID()
    expect(await send('POST', this.#url + itemsPathOf(LIST), { id, title: id })).toBe(201)
    this.todos.set(id, { title: id, completed: false })
  }

  async #change(): Promise<void> {
    const [id, todo] = this.#any() ?? []
    if (id === undefined || !todo) return this.#add()
    const changed = { title: randomUUID(), completed: !todo.completed }
    const params = { title: changed.title, completed: String(changed.completed) }
    expect(await send('PATCH', this.#url + itemPathOf(LIST, id), params)).toBe(200)
    this.todos.set(id, changed)
  }

  async #remove(): Promise<void> {
    const [id] = this.#any() ?? []
    if (id === undefined) return
    expect(await send('DELETE', this.#url + itemPathOf(LIST, id))).toBe(200)
    this.todos.delete(id)
  }

  async #write(): Promise<void> {
    const id = randomUUID()
    const status = await send('POST', this.#url + inboxPaths.messages, { user: USER, from: 'bob', text: id, id })
    if (status === 409) return this.#read()
    expect(status).toBe(201)
    this.messages.push(id)
  }

  async #read(): Promise<void> {
    expect(await send('POST', this.#url + inboxPaths.read, { user: USER })).toBe(200)
  }

  #any(): [string, { title: string; completed: boolean }] | undefined {
    const all = [...this.todos]
    return all[Math.floor(Math.random() * all.length)]
  }
}

it('a server that is killed loses nothing that it acknowledged, and leaves no screen wrong', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'killed-'))
  const DATABASE_URL = `file:${join(folder, 'demo.db')}`
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const program = await compiled()
  const start = (port: number): ServerProcess =>
    startProcess({ DATABASE_URL, PORT: String(port), PUSHES_PER_MINUTE: '1000000' }, [process.execPath, program])

  let server = start(0)
  const port = await server.listening()
  const url = `http://127.0.0.1:${port}`
  const todos = [1, 2].map(() => screenOf(url + todosPathOf(LIST), emptyList, reduceTodos))
  const inboxes = [1, 2].map(() => screenOf(`${url}${inboxPaths.stream}?user=${USER}`, emptyInbox, reduceInbox))
  const writers = [new Writer(url), new Writer(url)]

  let lastMessages = 0
  for (let kill = 1; kill <= KILLS; kill++) {
    for (const writer of writers) writer.start()
    await sleep(Math.random() * 500)
    server.signal('SIGKILL')
    await server.exit
    server = start(port)
    await server.listening()
    await sleep(Math.random() * 100)
    await Promise.all(writers.map((writer) => writer.pause()))

    const acknowledged = new Map(writers.flatMap((writer) => [...writer.todos]))
    const fresh = screenOf(url + todosPathOf(LIST), emptyList, reduceTodos)
    const stored = screenOf(`${url}${inboxPaths.stream}?user=${USER}`, emptyInbox, reduceInbox)
    await vi.waitFor(
      () => {
        const expected = [...acknowledged].map(([id, todo]) => ({ id, ...todo })).sort(byId)
        for (const { state } of [fresh, ...todos])
          expect(state.todos.map(({ id, title, completed }) => ({ id, title, completed })).sort(byId)).toEqual(expected)
        expect(stored.reconnects).toBeGreaterThanOrEqual(0)
        expect(stored.state.version).toBeGreaterThan(0)
        for (const { state } of inboxes) expect(state.messages).toEqual(stored.state.messages)
      },
      { timeout: 15_000, interval: 10 },
    )
    fresh.leave()
    stored.leave()
    // Those that were read may have made room for newer ones, so it is the newest that must be there.
    const ids = new Set(stored.state.messages.map(({ id }) => id))
    const newest = writers.flatMap(({ messages }) => messages.slice(-20))
    expect(newest.filter((id) => !ids.has(id))).toEqual([])
    lastMessages = writers.reduce((sum, { messages }) => sum + messages.length, 0)
  }
  const changes = writers.reduce((sum, writer) => sum + writer.changes, 0)
  console.log(`${KILLS} kills, ${changes} changes, ${lastMessages} messages: every screen right, nothing lost.`)
  for (const { reconnects } of [...todos, ...inboxes]) expect(reconnects).toBeGreaterThan(0)
})

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}
