import { itemPathOf, itemsPathOf, type Todo } from '../../../shared/demos/todos'

/** What a person did to a list. `base` and `seen` are the version and the title of the item that they saw. */
export type Change =
  | { kind: 'add'; id: string; title: string }
  | { kind: 'edit'; id: string; title: string; base: number; seen: string }
  | { kind: 'toggle'; id: string; completed: boolean; base: number }
  | { kind: 'toggleAll'; completed: boolean }
  | { kind: 'remove'; id: string }
  | { kind: 'clear' }

interface Request {
  method: 'POST' | 'PATCH' | 'DELETE'
  path: string
  params: Record<string, string>
}

/** How the server is asked for it. Each may be asked for again: what matters is what it is then. */
export function requestOf(list: string, change: Change): Request {
  switch (change.kind) {
    case 'add':
      return { method: 'POST', path: itemsPathOf(list), params: { id: change.id, title: change.title } }
    case 'edit':
      return patch(itemPathOf(list, change.id), { title: change.title, base: String(change.base) })
    case 'toggle':
      return patch(itemPathOf(list, change.id), { completed: String(change.completed), base: String(change.base) })
    case 'toggleAll':
      return patch(itemsPathOf(list), { completed: String(change.completed) })
    case 'remove':
      return { method: 'DELETE', path: itemPathOf(list, change.id), params: {} }
    case 'clear':
      return { method: 'DELETE', path: `${itemsPathOf(list)}?completed=true`, params: {} }
  }
}

function patch(path: string, params: Record<string, string>): Request {
  return { method: 'PATCH', path, params }
}

/** The items as they will be: what is shown until the server has answered. */
export function applied(todos: readonly Todo[], change: Change): readonly Todo[] {
  switch (change.kind) {
    case 'add': {
      const { id, title } = change
      if (todos.some((todo) => todo.id === id)) return todos
      return [...todos, { id, title, completed: false, created: Infinity, version: 0 }]
    }
    case 'edit':
      return todos.map((todo) => (todo.id === change.id ? { ...todo, title: change.title } : todo))
    case 'toggle':
      return todos.map((todo) => (todo.id === change.id ? { ...todo, completed: change.completed } : todo))
    case 'toggleAll':
      return todos.map((todo) => ({ ...todo, completed: change.completed }))
    case 'remove':
      return todos.filter(({ id }) => id !== change.id)
    case 'clear':
      return todos.filter(({ completed }) => !completed)
  }
}
