import { randomUUID } from 'node:crypto'
import { Router, type Request, type RequestHandler } from 'express'
import { MAX_TITLE, MAX_TODOS, TODO_ID, todosPath } from '../../shared/demos/todos'
import { HttpError } from '../httpError'
import { booleanParam, integerParam, lastEventId, param, textParam } from '../params'
import { clientKey } from '../sse/clientKey'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import type { Database } from '../store/database'
import { Feeds, type FeedEvent, type FeedsOptions } from '../store/feeds'
import { Outbox, type Mark, type OutboxOptions } from '../store/outbox'
import { TodoLists } from './todos/todoLists'

export interface TodosOptions extends OutboxOptions, Pick<FeedsOptions, 'interval'> {}

/** Todo lists that are the same on every screen: a stream that begins with a snapshot, and what changes them. */
export function todos(
  streams: Streams,
  hub: Hub,
  guard: RequestHandler,
  database: Database,
  options: TodosOptions = {},
): Router {
  const outbox = new Outbox(database, '#todos:', options)
  const lists = new TodoLists(database, outbox)
  const feeds = new Feeds({ ...options, hub, outbox, snapshot: (list) => lists.of(list) })

  const announce = (req: Request, mark: Mark, ...events: FeedEvent[]): Promise<void> =>
    feeds.announce(idOf(req, 'list'), mark, events, clientKey(req))
  const items = `${todosPath}/:list/items`

  return Router()
    .get(`${todosPath}/:list`, async (req, res) => {
      const list = idOf(req, 'list')
      // A stream without its database would stay empty. An error says why.
      await database.open()
      await feeds.subscribe(list, lastEventId(req), () => streams.open(req, res))
    })
    .post(items, guard, async (req, res) => {
      const title = textParam(req, 'title', MAX_TITLE)
      const id = param(req, 'id') ?? randomUUID()
      if (!TODO_ID.test(id)) throw badId('id')
      const added = await lists.add(idOf(req, 'list'), id, title)
      if (added === 'removed') throw new HttpError(410, 'removed', 'This item was removed.')
      if (added === 'full')
        throw new HttpError(409, 'list-full', `A list has at most ${MAX_TODOS} items: remove one first.`)
      if (added === 'lists') throw new HttpError(503, 'lists', 'There are too many lists: use one that exists.')
      await announce(req, added.mark, { event: 'todo', data: added.todo })
      res.status(201).json(added.todo)
    })
    .patch(`${items}/:id`, guard, async (req, res) => {
      const title = param(req, 'title') === null ? null : textParam(req, 'title', MAX_TITLE)
      const completed = booleanParam(req, 'completed')
      if (title === null && completed === null)
        throw new HttpError(400, 'change', 'title and completed are missing: give one of them, or both.')
      const base = param(req, 'base') === null ? null : integerParam(req, 'base', 0, 0, Number.MAX_SAFE_INTEGER)
      const result = await lists.change(idOf(req, 'list'), idOf(req, 'id'), { title, completed, base })
      if (result === null) throw noTodo()
      await announce(req, result.mark, { event: 'todo', data: result.changed.todo })
      res.json(result.changed)
    })
    .patch(items, guard, async (req, res) => {
      const completed = booleanParam(req, 'completed')
      if (completed === null) throw new HttpError(400, 'completed', 'completed is missing: give true or false.')
      const { todos, mark } = await lists.changeAll(idOf(req, 'list'), completed)
      await announce(req, mark, ...todos.map((todo) => ({ event: 'todo', data: todo })))
      res.json({ todos })
    })
    .delete(`${items}/:id`, guard, async (req, res) => {
      const result = await lists.remove(idOf(req, 'list'), idOf(req, 'id'))
      if (result === null) throw noTodo()
      const { removed, mark } = result
      await announce(req, mark, { event: 'removed', data: removed })
      res.json(removed)
    })
    .delete(items, guard, async (req, res) => {
      // Nobody clears a list by an address without an id.
      if (booleanParam(req, 'completed') !== true)
        throw new HttpError(400, 'completed', 'Only completed items can be removed together: add ?completed=true.')
      const { removed, mark } = await lists.removeCompleted(idOf(req, 'list'))
      await announce(req, mark, { event: 'removed', data: removed })
      res.json(removed)
    })
}

/** @throws HttpError 400 */
function idOf(req: Request, name: 'list' | 'id'): string {
  const id = req.params[name]
  if (typeof id !== 'string' || !TODO_ID.test(id)) throw badId(name)
  return id
}

function badId(name: string): HttpError {
  return new HttpError(400, name, `${name} must have 1 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".`)
}

function noTodo(): HttpError {
  return new HttpError(404, 'no-todo', 'There is no such item in this list, or it was removed.')
}
