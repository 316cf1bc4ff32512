import { describe, expect, it, vi } from 'vitest'
import {
  emptyList,
  itemPathOf,
  itemsPathOf,
  MAX_TITLE,
  MAX_TODOS,
  reduceTodos,
  todosPathOf,
  type ChangedTodo,
  type Todo,
  type TodosEvent,
} from '../../shared/demos/todos'
import { Database } from '../store/database'
import type { Client } from '../testing'
import { errorOf, eventsIn, startApp, type Headers, type Reply, type TestApp, type TestAppOptions } from '../testingApp'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

const LIST = 'groceries'

interface TodosApp extends TestApp {
  stream: (list?: string, headers?: Headers) => Client
  send: (method: string, path: string, params?: Record<string, string>) => Promise<Reply>
  add: (title: string, id?: string) => Promise<Todo>
  change: (id: string, params: Record<string, string>) => Promise<ChangedTodo>
}

async function start(options: TestAppOptions = {}): Promise<TodosApp> {
  const app = await startApp(options)
  const send = (method: string, path: string, params?: Record<string, string>): Promise<Reply> =>
    params
      ? app.ask(
          method,
          path,
          { 'Content-Type': 'application/x-www-form-urlencoded' },
          new URLSearchParams(params).toString(),
        )
      : app.ask(method, path)
  const done = async <T>(sent: Promise<Reply>): Promise<T> => {
    const { status, body } = await sent
    expect(status, body).toBeLessThan(300)
    return JSON.parse(body) as T
  }
  return {
    ...app,
    send,
    stream: (list = LIST, headers) => app.open(todosPathOf(list), headers),
    add: (title, id = title) => done<Todo>(send('POST', itemsPathOf(LIST), { title, id })),
    change: (id, params) => done<ChangedTodo>(send('PATCH', itemPathOf(LIST, id), params)),
  }
}

const todosEventsIn = (client: Client): TodosEvent[] =>
  eventsIn(client).map(({ event, data }) => ({ event, data: JSON.parse(data) as unknown }) as TodosEvent)
/** What a screen shows that has this stream. */
const shownBy = (client: Client): string[] =>
  todosEventsIn(client)
    .reduce(reduceTodos, emptyList)
    .todos.map(({ title, completed }) => `${completed ? '✓ ' : ''}${title}`)

describe('a todo list', () => {
  it('is the same on every screen, whatever is changed and whoever comes late', async () => {
    const app = await start()
    await app.add('milk')
    const early = app.stream()
    await eventually(() => expect(shownBy(early)).toEqual(['milk']))
    await app.add('bread')
    await app.add('salt')
    await app.change('milk', { completed: 'true' })
    await app.change('bread', { title: 'rye bread' })
    await app.send('DELETE', itemPathOf(LIST, 'salt'))
    const late = app.stream()
    for (const screen of [early, late]) await eventually(() => expect(shownBy(screen)).toEqual(['✓ milk', 'rye bread']))
    await app.send('PATCH', itemsPathOf(LIST), { completed: 'true' })
    for (const screen of [early, late])
      await eventually(() => expect(shownBy(screen)).toEqual(['✓ milk', '✓ rye bread']))
    await app.change('bread', { completed: 'false' })
    await app.send('DELETE', `${itemsPathOf(LIST)}?completed=true`)
    for (const screen of [early, late]) await eventually(() => expect(shownBy(screen)).toEqual(['rye bread']))
    expect(todosEventsIn(late)[0]?.event).toBe('snapshot')
  })

  it('takes every change that is sent again once, also after the item was removed', async () => {
    const app = await start()
    const first = await app.add('milk')
    expect(await app.add('milk')).toEqual(first)
    await app.change('milk', { completed: 'true' })
    const again = await app.change('milk', { completed: 'true' })
    expect(again).toEqual({ todo: again.todo, replaced: null })
    for (let n = 0; n < 2; n++) expect((await app.send('DELETE', itemPathOf(LIST, 'milk'))).status).toBe(200)
    expect(errorOf(await app.send('POST', itemsPathOf(LIST), { title: 'milk', id: 'milk' }))).toMatchObject({
      status: 410,
      code: 'removed',
    })
    const screen = app.stream()
    await eventually(() => expect(todosEventsIn(screen)).toHaveLength(1))
    expect(shownBy(screen)).toEqual([])
  })

  it('lets the last write win, and tells its author what it replaced unseen', async () => {
    const app = await start()
    const seen = await app.add('milk')
    const { todo } = await app.change('milk', { title: 'oat milk', base: `${seen.version}` })
    const late = await app.change('milk', { title: 'soy milk', base: `${seen.version}` })
    expect(late).toMatchObject({ todo: { title: 'soy milk' }, replaced: { title: 'oat milk', version: todo.version } })
    const seeing = await app.change('milk', { title: 'rice milk', base: `${late.todo.version}` })
    expect(seeing).toMatchObject({ todo: { title: 'rice milk' }, replaced: null })
  })

  it('has room for so many items, and for one more when one is gone', async () => {
    const app = await start()
    for (let n = 0; n < MAX_TODOS; n++) await app.add(`${n}`)
    const more = { title: 'more', id: 'more' }
    expect(errorOf(await app.send('POST', itemsPathOf(LIST), more))).toMatchObject({ status: 409, code: 'list-full' })
    expect((await app.send('POST', itemsPathOf('another'), more)).status).toBe(201)
    await app.send('DELETE', itemPathOf(LIST, '7'))
    await app.add('more')
  })

  it.each([
    ['POST', 'a%20b/items', { title: 'x' }, 400, 'list'],
    ['POST', `${LIST}/items`, {}, 400, 'title-empty'],
    ['POST', `${LIST}/items`, { title: ' ' }, 400, 'title-empty'],
    ['POST', `${LIST}/items`, { title: 'x'.repeat(MAX_TITLE + 1) }, 413, 'title-long'],
    ['POST', `${LIST}/items`, { title: 'x', id: '<' }, 400, 'id'],
    ['PATCH', `${LIST}/items/unknown`, { title: 'x' }, 404, 'no-todo'],
    ['PATCH', `${LIST}/items/unknown`, {}, 400, 'change'],
    ['PATCH', `${LIST}/items/unknown`, { completed: 'maybe' }, 400, 'completed'],
    ['PATCH', `${LIST}/items/unknown`, { title: ' ' }, 400, 'title-empty'],
    ['PATCH', `${LIST}/items/unknown`, { title: 'x', base: 'old' }, 400, 'base'],
    ['PATCH', `${LIST}/items`, {}, 400, 'completed'],
    ['DELETE', `${LIST}/items/unknown`, undefined, 404, 'no-todo'],
    ['DELETE', `${LIST}/items`, undefined, 400, 'completed'],
    ['DELETE', `${LIST}/items?completed=false`, undefined, 400, 'completed'],
    ['GET', 'a%20b', undefined, 400, 'list'],
  ])('refuses %s %s with %o: %d %s', async (method, path, params, status, code) => {
    const app = await start()
    expect(errorOf(await app.send(method, `/sse/todos/${path}`, params))).toMatchObject({ status, code })
  })

  it('needs the token for every change, where there is one, and no change comes from another site', async () => {
    const changes = [
      ['POST', itemsPathOf(LIST)],
      ['PATCH', itemsPathOf(LIST)],
      ['DELETE', itemPathOf(LIST, 'a')],
    ] as const
    const guarded = await start({ pushToken: '0123456789abcdef' })
    const app = await start()
    for (const [method, path] of changes) {
      expect(errorOf(await guarded.send(method, path))).toMatchObject({ status: 401 })
      expect(errorOf(await app.ask(method, path, { 'Sec-Fetch-Site': 'cross-site' }))).toMatchObject({ status: 403 })
    }
  })

  it('says that its database cannot be written, and that nothing was changed', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const app = await start({ database: new Database({ url: 'file:/dev/null/demo.db' }) })
    for (const reply of [
      await app.ask('GET', todosPathOf(LIST)),
      await app.send('POST', itemsPathOf(LIST), { title: 'x' }),
    ])
      expect(errorOf(reply)).toMatchObject({ status: 503, code: 'database-unwritable' })
  })
})
