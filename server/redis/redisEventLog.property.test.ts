import { createClient } from '@redis/client'
import { afterAll, beforeAll, describe, vi } from 'vitest'
import type { EventLog } from '../sse/eventLog'
import { describeHub, type Store } from '../testingHub'
import { hasRedis, startRedis, type RedisProcess } from '../testingRedis'
import { RedisEventLog } from './redisEventLog'

let redis: RedisProcess
let client: ReturnType<typeof createClient>

/** Copies everything of a prefix aside, all at once. */
const COPY = `
local copy = {}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  copy[#copy + 1] = key
  copy[#copy + 1] = redis.call('DUMP', key)
end
redis.call('RPUSH', 'copies ' .. KEYS[1], cmsgpack.pack(copy))`

/** Restores the copy from so many appends ago. */
const SET_BACK = `
local copies = 'copies ' .. KEYS[1]
local count = math.min(redis.call('LLEN', copies) - 1, tonumber(ARGV[1]))
if count < 1 then return end
redis.call('LTRIM', copies, 0, -1 - count)
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do redis.call('DEL', key) end
local copy = cmsgpack.unpack(redis.call('LINDEX', copies, -1))
for n = 1, #copy, 2 do redis.call('RESTORE', copy[n], 0, copy[n + 1]) end`

const WIPE = `
for _, pattern in ipairs({ KEYS[1] .. '*', 'copies ' .. KEYS[1] }) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do redis.call('DEL', key) end
end`

let runs = 0

/** Several processes with one Redis, all in this one. */
function redisStore(): Store {
  // Of its own, because what was sent in one run may arrive in the next.
  const prefix = `run ${runs++}:`
  const evaluate = (script: string, ...args: string[]): Promise<unknown> =>
    client.eval(script, { keys: [prefix], arguments: args })
  const logs: RedisEventLog[] = []
  /** Calls that change something: the connection is not cut before they are answered, for else nobody knew what they did. */
  const changes = new Set<Promise<unknown>>()
  let interruption: Promise<unknown> = Promise.resolve()

  async function change<T>(call: () => Promise<T>): Promise<T> {
    let awaited
    do {
      awaited = interruption
      await awaited
    } while (awaited !== interruption)
    const result = call().finally(() => evaluate(COPY))
    changes.add(result)
    return result.finally(() => changes.delete(result))
  }

  function open(): EventLog {
    const log = new RedisEventLog({
      url: redis.url,
      prefix,
      maxEvents: 6,
      maxBytes: 12_000,
      lookInterval: 50,
      onConnection: () => undefined,
    })
    logs.push(log)
    const ready = (): Promise<unknown> => vi.waitUntil(() => log.isReady, { interval: 1, timeout: 20_000 })
    return {
      retention: log.retention,
      append: async (...args) => {
        await ready()
        return change(() => log.append(...args))
      },
      end: async (...args) => {
        await ready()
        return change(() => log.end(...args))
      },
      read: async (...args) => {
        await ready()
        return log.read(...args)
      },
      watch: (...args) => log.watch(...args),
      close: () => log.close(),
    }
  }

  /** Changes what Redis has, and interrupts the connections, as a restart does. */
  async function replace(action: () => Promise<unknown>): Promise<void> {
    const settled = (async () => {
      while (changes.size > 0) await Promise.allSettled(changes)
      await action()
      await client.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
    })()
    interruption = settled
    await settled
  }

  return {
    open,
    wipe: () => replace(() => evaluate(WIPE)),
    setBack: async (events) => {
      await replace(() => evaluate(SET_BACK, String(events)))
      return []
    },
    close: () => {
      for (const log of logs) log.close()
    },
  }
}

describe.runIf(hasRedis)('on a real Redis', () => {
  beforeAll(async () => {
    redis = await startRedis()
    client = createClient({ url: redis.url })
    await client.connect()
  })
  afterAll(async () => {
    client.destroy()
    await redis.stop()
  })

  describeHub('Redis', redisStore)
})
