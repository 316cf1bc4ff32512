/** What both ends of the todo lists agree on, and how their events change a list. */

export const todosPath = '/sse/todos'

/** The parts of a list's address. */
export const todosPathOf = (list: string): string => `${todosPath}/${encodeURIComponent(list)}`
export const itemsPathOf = (list: string): string => `${todosPathOf(list)}/items`
export const itemPathOf = (list: string, id: string): string => `${itemsPathOf(list)}/${encodeURIComponent(id)}`

/** What a list may be called, and an item of it. Whoever adds an item chooses its id, so that adding it again is not another one. */
export const TODO_ID: RegExp = /^[\w-]{1,64}$/

export const MAX_TITLE = 200
export const MAX_TODOS = 100

export interface Todo {
  id: string
  title: string
  completed: boolean
  /** The order of the items. */
  created: number
  /** Of the newest change: of two, the greater one is right. */
  version: number
}

/** The data of `snapshot`. */
export interface TodosSnapshot {
  todos: readonly Todo[]
  /** Everything up to this version is in it. */
  version: number
  /** It was announced in place of changes, and newer ones may have come before it. */
  late?: boolean
}

/** The data of `removed`. */
export interface RemovedEvent {
  ids: readonly string[]
  version: number
}

/** The answer to a change of an item: what it is now, and what the change replaced that its author had not seen; else null. */
export interface ChangedTodo {
  todo: Todo
  replaced: Todo | null
}

export type TodosEvent =
  { event: 'snapshot'; data: TodosSnapshot } | { event: 'todo'; data: Todo } | { event: 'removed'; data: RemovedEvent }

export interface TodoList extends Omit<TodosSnapshot, 'late'> {
  /** Items that were removed since the snapshot: what is told of them late must not bring them back. The newest 1,000. */
  gone: ReadonlyMap<string, number>
}

const MAX_GONE = 1_000

export const emptyList: TodoList = { todos: [], version: 0, gone: new Map() }

/** The list after one more event. An event that is repeated, late or contained in the snapshot changes nothing. */
export function reduceTodos(list: TodoList, { event, data }: TodosEvent): TodoList {
  switch (event) {
    case 'snapshot':
      return data.late ? withLate(list, data) : { todos: data.todos, version: data.version, gone: new Map() }
    case 'todo':
      return withTodo(list, data)
    case 'removed':
      return without(list, data)
  }
}

/** Of each item the newer state is right, its own or that of the snapshot. */
function withLate(list: TodoList, { todos, version }: TodosSnapshot): TodoList {
  if (version <= list.version) return list
  const gone = new Map([...list.gone].filter(([, removed]) => removed > version))
  const newer = list.todos.filter((todo) => todo.version > version)
  return newer.reduce(withTodo, { todos: todos.filter(({ id }) => !gone.has(id)), version, gone })
}

function withTodo(list: TodoList, todo: Todo): TodoList {
  const known = list.todos.find(({ id }) => id === todo.id)?.version ?? list.gone.get(todo.id) ?? list.version
  if (todo.version <= known) return list
  const todos = [...list.todos.filter(({ id }) => id !== todo.id), todo]
  return { ...list, todos: todos.sort((a, b) => a.created - b.created) }
}

function without(list: TodoList, { ids, version }: RemovedEvent): TodoList {
  if (version <= list.version) return list
  const gone = new Map([...list.gone, ...ids.map((id) => [id, version] as const)].slice(-MAX_GONE))
  return { ...list, todos: list.todos.filter(({ id }) => !ids.includes(id)), gone }
}
