import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyInbox, reduceInbox, unreadOf, type Inbox, type InboxEvent, type Message } from './inbox'
import { withLateSnapshot } from './testingLateSnapshot'

/** A database with one inbox, and what it would announce. */
class Model {
  readonly messages = new Map<string, Message>()
  readonly announced: InboxEvent[] = []
  version = 0

  write(): void {
    const version = ++this.version
    const read = [...this.messages.values()].find((message) => message.read)
    const dropped = this.messages.size >= 4 ? (read?.id ?? null) : null
    if (this.messages.size >= 4 && dropped === null) return
    if (dropped !== null) this.messages.delete(dropped)
    const message = { id: `m${version}`, from: 'bob', text: '', time: 0, read: false, created: version, version }
    this.messages.set(message.id, message)
    this.announced.push({ event: 'message', data: { message, dropped } })
  }

  read(which: number): void {
    const version = ++this.version
    const ids = [...this.messages.values()]
      .filter(({ read }, n) => !read && (which === 0 || n === which))
      .map(({ id }) => id)
    for (const id of ids) {
      const message = this.messages.get(id)
      if (message) this.messages.set(id, { ...message, read: true, version })
    }
    this.announced.push({ event: 'read', data: { ids, version } })
  }

  get snapshot(): InboxEvent {
    return { event: 'snapshot', data: { messages: [...this.messages.values()], version: this.version } }
  }
}

const shown = ({ messages }: Inbox): unknown => messages.map(({ id, read, version }) => ({ id, read, version }))

describe('an inbox', () => {
  it('is right after a snapshot and what follows, also what it contains already, twice, or in another order', () => {
    const action = fc.oneof(fc.constant('write' as const), fc.integer({ min: 0, max: 3 }))
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 30 }),
        fc.nat(),
        fc.nat(),
        fc.infiniteStream(fc.integer({ min: 0, max: 2 })),
        (actions, first, second, swaps) => {
          const model = new Model()
          const at = first % (actions.length + 1)
          let snapshot = model.snapshot
          let from = 0
          for (const [n, one] of actions.entries()) {
            if (n === at) {
              snapshot = model.snapshot
              // The position of a snapshot may be older than its state.
              from = second % (model.announced.length + 1)
            }
            if (one === 'write') model.write()
            else model.read(one)
          }
          if (at === actions.length) {
            snapshot = model.snapshot
            from = second % (model.announced.length + 1)
          }
          const events = model.announced.slice(from)
          // Neighbours that were announced in the wrong order, and some that were announced twice.
          for (let n = 0; n + 1 < events.length; n++) {
            const swap: unknown = swaps.next().value
            const [a, b] = [events[n], events[n + 1]]
            if (!a || !b) continue
            if (swap === 1) events.splice(n, 2, b, a)
            if (swap === 2) events.splice(n++, 1, a, a)
          }
          const inbox = [snapshot, ...events].reduce(reduceInbox, emptyInbox)
          expect(shown(inbox)).toEqual(shown(reduceInbox(emptyInbox, model.snapshot)))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('is right after a late snapshot, whatever of newer and older changes came before it', () => {
    const action = fc.oneof(fc.constant('write' as const), fc.integer({ min: 0, max: 3 }))
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 30 }),
        fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
        (actions, at) => {
          const model = new Model()
          const events = withLateSnapshot(model, actions, at, (one) => {
            if (one === 'write') model.write()
            else model.read(one)
          })
          const inbox = events.reduce(reduceInbox, emptyInbox)
          expect(shown(inbox)).toEqual(shown(reduceInbox(emptyInbox, model.snapshot)))
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('counts what was not read', () => {
    const model = new Model()
    for (let n = 0; n < 3; n++) model.write()
    model.read(1)
    expect(unreadOf(reduceInbox(emptyInbox, model.snapshot))).toBe(2)
  })
})
