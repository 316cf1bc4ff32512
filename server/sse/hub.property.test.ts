import { describeHub, type Store } from '../testingHub'
import type { EventLog } from './eventLog'
import { MemoryEventLog } from './memoryEventLog'

/** One memory for several hubs. It also records what was appended, so that it can be set back to an earlier state. */
function memoryStore(): Store {
  let now = 0
  let ids = 0
  /** Everything done to the log since it was empty, to be replayed. */
  let deeds: { at: number; ids: number; data: string; redo: (log: MemoryEventLog) => string | null }[] = []
  const wakers = new Set<() => void>()
  let log = create()

  function create(): MemoryEventLog {
    return new MemoryEventLog({
      maxEvents: 6,
      maxBytes: 12_000,
      maxTotalBytes: 30_000,
      maxAge: 1_000,
      now: () => now,
      newEpochId: () => `epoch-${ids++}`,
    })
  }

  function replace(next: MemoryEventLog): void {
    log.close()
    log = next
    for (const wake of wakers) wake()
  }

  /** Reads and writes the current log. */
  const open = (): EventLog => ({
    retention: log.retention,
    append: (...args) => {
      const deed = {
        at: now,
        ids,
        data: args[1].data ?? '',
        redo: (another: MemoryEventLog) => another.append(...args),
      }
      const position = log.append(...args)
      deeds.push(deed)
      return position
    },
    end: (...args) => {
      const deed = { at: now, ids, data: args[1].data ?? '', redo: (another: MemoryEventLog) => another.end(...args) }
      const position = log.end(...args)
      deeds.push(deed)
      return position
    },
    read: (...args) => log.read(...args),
    watch: (channel, watcher) => {
      let stop = log.watch(channel, watcher)
      const rewatch = (): void => {
        stop = log.watch(channel, watcher)
      }
      wakers.add(rewatch)
      return () => {
        wakers.delete(rewatch)
        stop()
      }
    },
    close: () => undefined,
  })

  return {
    open,
    wipe: () => {
      deeds = []
      replace(create())
    },
    setBack: (events) => {
      const before = { now, ids }
      deeds = deeds.slice(0, -events)
      const next = create()
      // Nobody watches it, so an epoch may have ended here that was still in use there.
      const contents = deeds.map((deed) => {
        now = deed.at
        ids = deed.ids
        return { position: deed.redo(next), data: deed.data }
      })
      now = before.now
      ids = before.ids
      replace(next)
      return contents
    },
    age: (ms) => {
      now += ms
    },
    close: () => log.close(),
  }
}

describeHub('memory', memoryStore)
