import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'
import {
  emptyList,
  reduceTodos,
  todosPathOf,
  type ChangedTodo,
  type RemovedEvent,
  type Todo,
  type TodosEvent,
  type TodosSnapshot,
} from '../../../shared/demos/todos'
import { fetchTransport } from '../../composables/fetchTransport'
import { sharedTransport } from '../../composables/sharedTransport'
import { useEventSource, type UseEventSourceReturn } from '../../composables/useEventSource'
import { useI18n } from '../../site/i18n'
import { useServerAction } from '../../site/useServerAction'
import { applied, requestOf, type Change } from './change'
import { ChangeQueue, type Pending } from './changeQueue'

/** Milliseconds before changes that could not be sent are sent again. */
const RETRY = 3_000

/** Notices that are shown at once: the newest. */
const MAX_NOTICES = 3

export interface ShownTodo extends Todo {
  /** A change of it waits to be sent. */
  isPending: boolean
}

export interface UseTodosReturn {
  todos: ComputedRef<ShownTodo[]>
  /** Nothing is known yet. */
  isLoading: ComputedRef<boolean>
  /** Changes that wait to be sent. */
  waiting: ComputedRef<number>
  /** What has to be said: that a write replaced another, or was refused. */
  notices: Ref<string[]>
  change: (change: Change) => void
  stream: Pick<UseEventSourceReturn, 'status' | 'reason' | 'error' | 'attempt' | 'retryAt'>
}

/** A list that is the same on every screen. Changes are shown at once, kept, and sent when that is possible. */
export function useTodos(id: string): UseTodosReturn {
  const { t } = useI18n()
  const act = useServerAction()
  const queue = new ChangeQueue(id)
  const list = shallowRef(emptyList)
  const pending = shallowRef<Pending[]>(queue.all())
  const notices = ref<string[]>([])
  /** The titles that this screen wrote, as long as nobody else has written another. */
  const written = new Map<string, Todo>()
  const leaving = new AbortController()
  let isSending = false
  let retry: ReturnType<typeof setTimeout> | undefined

  const stream = useEventSource(todosPathOf(id), {
    immediate: true,
    idleTimeout: 40_000,
    transport: sharedTransport({ scope: 'todos', transport: fetchTransport(), fromStart: true }),
    decode: {
      snapshot: (raw) => JSON.parse(raw) as TodosSnapshot,
      todo: (raw) => JSON.parse(raw) as Todo,
      removed: (raw) => JSON.parse(raw) as RemovedEvent,
    },
  })
  stream.on('snapshot', ({ data }) => apply({ event: 'snapshot', data }))
  stream.on('removed', ({ data }) => apply({ event: 'removed', data }))
  stream.on('todo', ({ data }) => {
    const mine = written.get(data.id)
    if (mine && data.version > mine.version && data.title !== mine.title && !isOnItsWay(data)) {
      written.delete(data.id)
      notice(t('todos.overwritten', { mine: mine.title, theirs: data.title }))
    }
    apply({ event: 'todo', data })
  })

  /** The stream may tell of this screen's own change before its answer comes. */
  function isOnItsWay({ id: item, title }: Todo): boolean {
    return pending.value.some(({ change: one }) => one.kind === 'edit' && one.id === item && one.title === title)
  }

  function apply(event: TodosEvent): void {
    list.value = reduceTodos(list.value, event)
  }

  function notice(text: string): void {
    notices.value = [...notices.value, text].slice(-MAX_NOTICES)
  }

  function change(one: Change): void {
    if (!queue.add(one)) notice(t('todos.tooMany'))
    pending.value = queue.all()
    void send()
  }

  /** Sends what waits, in order, up to what cannot be sent now. */
  async function send(): Promise<void> {
    clearTimeout(retry)
    if (isSending) return
    isSending = true
    await queue.alone(async () => {
      for (let [next] = queue.all(); next; [next] = queue.all()) if (!(await sendOne(next))) return
    })
    isSending = false
    pending.value = queue.all()
    if (pending.value.length > 0 && !leaving.signal.aborted) retry = setTimeout(() => void send(), RETRY)
  }

  /** False if it has to wait. */
  async function sendOne({ key, change: one }: Pending): Promise<boolean> {
    const { method, path, params } = requestOf(id, one)
    const { status, error, answer } = await act(path, params, method)
    if (status === 0 || status >= 500 || [401, 403, 408, 429].includes(status)) return false
    if (status < 300) accept(one, answer)
    else if (status !== 410) notice(t('todos.dropped', { mine: nameOf(one), reason: error }))
    queue.remove(key)
    pending.value = queue.all()
    return true
  }

  /** The answer is what the stream will say, only sooner. */
  function accept(one: Change, answer: unknown): void {
    switch (one.kind) {
      case 'add':
        written.set(one.id, answer as Todo)
        apply({ event: 'todo', data: answer as Todo })
        break
      case 'edit':
      case 'toggle': {
        const { todo, replaced } = answer as ChangedTodo
        if (one.kind === 'edit') written.set(one.id, todo)
        if (one.kind === 'edit' && replaced && replaced.title !== one.seen)
          notice(t('todos.replaced', { mine: todo.title, theirs: replaced.title }))
        apply({ event: 'todo', data: todo })
        break
      }
      case 'toggleAll':
        for (const todo of (answer as { todos: Todo[] }).todos) apply({ event: 'todo', data: todo })
        break
      case 'remove':
      case 'clear':
        apply({ event: 'removed', data: answer as RemovedEvent })
    }
  }

  function nameOf(one: Change): string {
    if ('title' in one) return one.title
    return ('id' in one && list.value.todos.find((todo) => todo.id === one.id)?.title) || t('todos.title')
  }

  queue.watch(() => (pending.value = queue.all()), leaving.signal)
  addEventListener('online', () => void send(), { signal: leaving.signal })
  watch(stream.status, (status) => status === 'open' && void send())
  onScopeDispose(() => {
    leaving.abort()
    clearTimeout(retry)
  })
  void send()

  return {
    todos: computed(() => {
      const ids = new Set(pending.value.flatMap(({ change: one }) => ('id' in one ? [one.id] : [])))
      const todos = pending.value.reduce((before, { change: one }) => applied(before, one), list.value.todos)
      return todos.map((todo) => ({ ...todo, isPending: ids.has(todo.id) }))
    }),
    isLoading: computed(() => list.value === emptyList && pending.value.length === 0),
    waiting: computed(() => pending.value.length),
    notices,
    change,
    stream,
  }
}
