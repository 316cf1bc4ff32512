import {
  MAX_TODOS,
  type ChangedTodo,
  type RemovedEvent,
  type Todo,
  type TodosSnapshot,
} from '../../../shared/demos/todos'
import type { Database, Row, Statement } from '../../store/database'
import { markIn, type Mark, type Outbox } from '../../store/outbox'

/** Lists at once: those that have an item. */
const MAX_LISTS = 1_000

/** Removed items that are remembered, so that a late repetition does not add one again. */
const MAX_REMOVED = 10_000

export interface TodoChange {
  title: string | null
  completed: boolean | null
  /** The version that its author had seen; null for one that says nothing of it. */
  base: number | null
}

export interface RemovedTodos {
  removed: RemovedEvent
  mark: Mark
}

const COLUMNS = 'id, title, completed, removed, created, version'
const NEXT_VERSION = { sql: 'UPDATE changes SET version = version + 1' }
const VERSION = { sql: 'SELECT version FROM changes' }
const FORGET = {
  sql: `DELETE FROM todos WHERE removed = 1 AND version <=
          (SELECT version FROM todos WHERE removed = 1 ORDER BY version DESC LIMIT 1 OFFSET ${MAX_REMOVED})`,
}

/** All todo lists, in the database. Every change is one transaction, and may be repeated. */
export class TodoLists {
  readonly #database: Database
  readonly #outbox: Outbox

  constructor(database: Database, outbox: Outbox) {
    this.#database = database
    this.#outbox = outbox
  }

  async of(list: string): Promise<TodosSnapshot> {
    const [changes, rows] = await this.#database.batch([
      VERSION,
      { sql: `SELECT ${COLUMNS} FROM todos WHERE list = :list AND removed = 0 ORDER BY created`, args: { list } },
    ])
    return { version: versionIn(changes), todos: (rows ?? []).map(todoOf) }
  }

  /** The item, also if it was there already; or why there is none. */
  async add(
    list: string,
    id: string,
    title: string,
  ): Promise<{ todo: Todo; mark: Mark } | 'removed' | 'full' | 'lists'> {
    const args = { list, id }
    const [, , marked, rows, counts] = await this.#database.batch([
      NEXT_VERSION,
      {
        sql: `INSERT INTO todos (list, id, title, completed, removed, created, version)
              SELECT :list, :id, :title, 0, 0, version, version FROM changes
              WHERE (SELECT count(*) FROM todos WHERE list = :list AND removed = 0) < ${MAX_TODOS}
              AND (EXISTS (SELECT 1 FROM todos WHERE list = :list AND removed = 0)
                OR (SELECT count(DISTINCT list) FROM todos WHERE removed = 0) < ${MAX_LISTS})
              ON CONFLICT DO NOTHING`,
        args: { ...args, title },
      },
      this.#outbox.mark(list),
      { sql: `SELECT ${COLUMNS} FROM todos WHERE list = :list AND id = :id`, args },
      { sql: 'SELECT count(*) AS todos FROM todos WHERE list = :list AND removed = 0', args: { list } },
    ])
    const [row] = rows ?? []
    if (row) return row['removed'] === 1 ? 'removed' : { todo: todoOf(row), mark: markIn(marked) }
    return counts?.[0]?.['todos'] === 0 ? 'lists' : 'full'
  }

  /** The last write wins. Null if there is no such item. */
  async change(
    list: string,
    id: string,
    { title, completed, base }: TodoChange,
  ): Promise<{ changed: ChangedTodo; mark: Mark } | null> {
    const item = 'list = :list AND id = :id AND removed = 0'
    const args = { list, id }
    const [, before, , marked, after] = await this.#database.batch([
      NEXT_VERSION,
      { sql: `SELECT ${COLUMNS} FROM todos WHERE ${item}`, args },
      {
        sql: `UPDATE todos SET title = coalesce(:title, title), completed = coalesce(:completed, completed),
                version = (SELECT version FROM changes)
              WHERE ${item} AND (title <> coalesce(:title, title) OR completed <> coalesce(:completed, completed))`,
        args: { ...args, title, completed: completed === null ? null : Number(completed) },
      },
      this.#outbox.mark(list),
      { sql: `SELECT ${COLUMNS} FROM todos WHERE ${item}`, args },
    ])
    const [was] = before ?? []
    const [is] = after ?? []
    if (!was || !is) return null
    const [old, todo] = [todoOf(was), todoOf(is)]
    const isUnseen = base !== null && old.version > base && todo.version > old.version
    return { changed: { todo, replaced: isUnseen ? old : null }, mark: markIn(marked) }
  }

  /** Returns the items that it changed. */
  async changeAll(list: string, completed: boolean): Promise<{ todos: Todo[]; mark: Mark }> {
    const [, rows, marked] = await this.#database.batch([
      NEXT_VERSION,
      {
        sql: `UPDATE todos SET completed = :completed, version = (SELECT version FROM changes)
              WHERE list = :list AND removed = 0 AND completed <> :completed RETURNING ${COLUMNS}`,
        args: { list, completed: Number(completed) },
      },
      this.#outbox.mark(list),
    ])
    return { todos: (rows ?? []).map(todoOf), mark: markIn(marked) }
  }

  /** Null if there was never such an item. To remove one again changes nothing. */
  async remove(list: string, id: string): Promise<RemovedTodos | null> {
    const exists = { sql: 'SELECT 1 FROM todos WHERE list = :list AND id = :id', args: { list, id } }
    const [found, removed] = await this.#remove(list, 'id = :id', { id }, exists)
    return found?.length ? removed : null
  }

  async removeCompleted(list: string): Promise<RemovedTodos> {
    const [, removed] = await this.#remove(list, 'completed = 1', {}, VERSION)
    return removed
  }

  async #remove(
    list: string,
    which: string,
    args: Statement['args'],
    first: Statement,
  ): Promise<[Row[] | undefined, RemovedTodos]> {
    const [found, , rows, marked, , changes] = await this.#database.batch([
      first,
      NEXT_VERSION,
      {
        sql: `UPDATE todos SET removed = 1, title = '', version = (SELECT version FROM changes)
              WHERE list = :list AND ${which} AND removed = 0 RETURNING id`,
        args: { ...args, list },
      },
      this.#outbox.mark(list),
      FORGET,
      VERSION,
    ])
    const removed = { ids: (rows ?? []).map((row) => String(row['id'])), version: versionIn(changes) }
    return [found, { removed, mark: markIn(marked) }]
  }
}

function versionIn(rows: Row[] | undefined): number {
  return Number(rows?.[0]?.['version'])
}

function todoOf(row: Row): Todo {
  return {
    id: String(row['id']),
    title: String(row['title']),
    completed: row['completed'] === 1,
    created: Number(row['created']),
    version: Number(row['version']),
  }
}
