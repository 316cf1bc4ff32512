import type { SseEmitter } from './emitter.js'
import type { Sendable } from './encode.js'

/** See `SseEmitter.iterate`. */
export async function iterate<T>(
  emitter: Pick<SseEmitter, 'ended' | 'writable' | 'send' | 'onDrain' | 'onCompletion'>,
  values: AsyncIterable<T> | Iterable<T>,
  toEvent: (value: T) => Sendable,
): Promise<boolean> {
  const iterator = Symbol.asyncIterator in values ? values[Symbol.asyncIterator]() : values[Symbol.iterator]()
  let drained = nothing
  let ended = nothing
  const forget = [
    emitter.onDrain(() => drained()),
    emitter.onCompletion(() => {
      drained()
      ended()
    }),
  ]
  let isDone = false
  try {
    for (;;) {
      if (!emitter.writable && !emitter.ended) await new Promise<void>((resolve) => (drained = resolve))
      if (emitter.ended) return false
      const next = await new Promise<IteratorResult<T, unknown> | null>((resolve, reject) => {
        ended = () => resolve(null)
        Promise.resolve(iterator.next()).then(resolve, reject)
      })
      if (next === null) return false
      if (next.done) {
        isDone = true
        return true
      }
      emitter.send(toEvent(next.value))
    }
  } finally {
    for (const off of forget) off()
    // Not awaited: a generator that waits for something would keep the caller waiting too.
    if (!isDone) void returned(iterator)
  }
}

function nothing(): void {
  // Nobody is waiting.
}

async function returned(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch (error) {
    console.error('What an SseEmitter iterated over failed to stop:', error)
  }
}
