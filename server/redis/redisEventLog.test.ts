import { afterAll, beforeAll, vi } from 'vitest'
import { describeEventLog } from '../testingEventLog'
import { startRedis, type RedisProcess } from '../testingRedis'
import { RedisEventLog } from './redisEventLog'

let redis: RedisProcess
let logs = 0

beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

async function create(options: { maxEvents: number }): Promise<RedisEventLog> {
  const log = new RedisEventLog({ ...options, url: redis.url, prefix: `log-${logs++}:` })
  await vi.waitUntil(() => log.isReady)
  return log
}

describeEventLog('Redis', create)
