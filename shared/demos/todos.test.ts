import fc from 'fast-check'
import { expect, it } from 'vitest'
import { withLateSnapshot } from './testingLateSnapshot'
import { emptyList, reduceTodos, type Todo, type TodosEvent } from './todos'

/** A database with one list, and what it would announce. */
class Model {
  readonly todos = new Map<string, Todo>()
  readonly announced: TodosEvent[] = []
  version = 0

  do(action: 'add' | 'change' | 'remove', which: number): void {
    const version = ++this.version
    const old = [...this.todos.values()][which % this.todos.size]
    if (action === 'add') this.#set({ id: `t${version}`, title: '', completed: false, created: version, version })
    else if (old && action === 'change') this.#set({ ...old, title: `${version}`, version })
    else if (old) {
      this.todos.delete(old.id)
      this.announced.push({ event: 'removed', data: { ids: [old.id], version } })
    }
  }

  get snapshot(): TodosEvent {
    return { event: 'snapshot', data: { todos: [...this.todos.values()], version: this.version } }
  }

  #set(todo: Todo): void {
    this.todos.set(todo.id, todo)
    this.announced.push({ event: 'todo', data: todo })
  }
}

it('a list is right after a late snapshot, whatever of newer and older changes came before it', () => {
  const action = fc.tuple(fc.constantFrom('add' as const, 'change' as const, 'remove' as const), fc.nat(5))
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 30 }),
      fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
      (actions, at) => {
        const model = new Model()
        const events = withLateSnapshot(model, actions, at, ([name, which]) => model.do(name, which))
        const { todos } = events.reduce(reduceTodos, emptyList)
        expect(todos).toEqual([...model.todos.values()].sort((a, b) => a.created - b.created))
      },
    ),
    { numRuns: 2_000 },
  )
})

it('a list is right after a snapshot and what follows, also what it contains already, twice, or in any other order', () => {
  const action = fc.tuple(fc.constantFrom('add' as const, 'change' as const, 'remove' as const), fc.nat(5))
  fc.assert(
    fc.property(
      fc.array(action, { maxLength: 30 }),
      fc.nat(),
      fc.nat(),
      fc.infiniteStream(fc.nat()),
      (actions, first, second, order) => {
        const model = new Model()
        const at = first % (actions.length + 1)
        for (const [name, which] of actions.slice(0, at)) model.do(name, which)
        const { snapshot } = model
        // The position of a snapshot may be older than its state.
        const from = second % (model.announced.length + 1)
        for (const [name, which] of actions.slice(at)) model.do(name, which)
        const events = model.announced
          .slice(from)
          .flatMap((event, n) => (n % 3 === 0 ? [event, event] : [event]))
          .map((event) => ({ event, rank: Number(order.next().value) }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ event }) => event)
        const { todos } = [snapshot, ...events].reduce(reduceTodos, emptyList)
        expect(todos).toEqual([...model.todos.values()].sort((a, b) => a.created - b.created))
      },
    ),
    { numRuns: 2_000 },
  )
})
