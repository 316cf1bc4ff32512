import { createClient } from '@redis/client'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { encode } from '../sse/encode'
import { parsePosition, type Batch, type Watcher } from '../sse/eventLog'
import { describeEventLog } from '../testingEventLog'
import { hasRedis, startRedis, type RedisProcess } from '../testingRedis'
import { RedisEventLog, type RedisEventLogOptions } from './redisEventLog'
import * as scripts from './scripts'

vi.setConfig({ testTimeout: 30_000 })

const all = { maxBytes: 1e6 }
const close = { event: 'close', data: '' }
const AOF = ['--appendonly', 'yes', '--appendfsync', 'always']

let shared: RedisProcess
let prefixes = 0

async function opened(options: Partial<RedisEventLogOptions> = {}): Promise<RedisEventLog> {
  const log = new RedisEventLog({
    url: shared.url,
    prefix: `${prefixes++}:`,
    onConnection: () => undefined,
    ...options,
  })
  onTestFinished(() => log.close())
  await ready(log)
  return log
}

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 10 })
const ready = (log: RedisEventLog): Promise<unknown> => eventually(() => expect(log.isReady).toBe(true))
const dataIn = ({ events }: Batch): string[] =>
  events.map(({ frame }) => /^data: (.*)$/m.exec(frame.toString())?.[1] ?? '')

/** What a newcomer gets. */
async function kept(log: RedisEventLog, channel: string): Promise<string[]> {
  const all: string[] = []
  for (let cursor: string | null = null; ;) {
    const batch = await log.read(channel, cursor, { maxBytes: 50 })
    expect(batch.gap).toBeUndefined()
    all.push(...dataIn(batch))
    cursor = batch.events.at(-1)?.position ?? batch.after
    if (cursor === batch.top) return all
  }
}
const epochOf = (position: string): string => parsePosition(position)?.epoch ?? ''

function watcher(): { [name in keyof Watcher]: ReturnType<typeof vi.fn<Watcher[name]>> } {
  return { onAppend: vi.fn(), onError: vi.fn() }
}

async function ownRedis(settings?: readonly string[]): Promise<RedisProcess> {
  const redis = await startRedis(settings)
  onTestFinished(() => redis.stop())
  return redis
}

/** A client that does to the log what an operator, or an accident, does. */

async function admin({ url }: RedisProcess) {
  const client = createClient({ url })
  client.on('error', () => undefined)
  await client.connect()
  onTestFinished(() => client.destroy())
  return client
}

describe.runIf(hasRedis)('on a real Redis', () => {
  beforeAll(async () => {
    shared = await startRedis()
  })
  afterAll(() => shared.stop())

  describeEventLog('Redis', (options) => opened(options))

  describe('several processes', () => {
    it('append to one channel, and hear of what the others append', async () => {
      const prefix = `${prefixes++}:`
      const logs = await Promise.all([1, 2, 3].map(() => opened({ prefix })))
      const watchers = logs.map((log) => {
        const seen = watcher()
        log.watch('c', seen)
        return seen
      })
      await eventually(() => watchers.forEach(({ onAppend }) => expect(onAppend).toHaveBeenCalled()))
      const appended = await Promise.all(
        logs.flatMap((log, n) => [0, 1, 2, 3].map((m) => log.append('c', { data: `${n}.${m}` }))),
      )
      expect(new Set(appended.map((position) => parsePosition(position)?.epoch)).size).toBe(1)
      const cursor = `${epochOf(appended[0] ?? '')}:0`
      for (const log of logs)
        await eventually(async () => expect((await log.read('c', cursor, all)).events).toHaveLength(12))
      const read = await Promise.all(logs.map(async (log) => dataIn(await log.read('c', cursor, all))))
      expect(read).toEqual([read[0], read[0], read[0]])
    })

    it('appends a key once, whoever repeats it', async () => {
      const prefix = `${prefixes++}:`
      const logs = await Promise.all([1, 2].map(() => opened({ prefix })))
      const positions = await Promise.all(
        [...logs, ...logs].map((log) => log.append('c', { data: 'once' }, { key: 'order-1' })),
      )
      expect(new Set(positions).size).toBe(1)
      expect((await logs[0]?.read('c', null, all))?.events).toHaveLength(1)
    })

    it('hear of an end that another one gives to a channel without events', async () => {
      const prefix = `${prefixes++}:`
      const [log, other] = await Promise.all([1, 2].map(() => opened({ prefix })))
      expect(await other?.end('c', close)).toBeNull()
      log?.watch('c', watcher())
      await eventually(async () => expect(await other?.end('c', close)).not.toBeNull())
      expect(await log?.read('c', '0', all)).toMatchObject({ events: { length: 1 }, finished: true })
      expect(await other?.end('c', close), 'once').toBeNull()
    })

    it('each have one connection, and read what was announced from their own memory', async () => {
      const redis = await ownRedis()
      const client = await admin(redis)
      const log = await opened({ url: redis.url })
      for (let n = 0; n < 50; n++) log.watch(`c${n % 5}`, watcher())
      const cursor = `${epochOf(await log.append('c0', { data: 'first' }))}:1`
      await eventually(async () => expect(await client.sendCommand(['PUBSUB', 'SHARDCHANNELS'])).toHaveLength(5))
      for (let n = 0; n < 20; n++) await log.append('c0', { data: String(n) })
      await eventually(async () => expect((await log.read('c0', cursor, all)).events).toHaveLength(20))
      await client.sendCommand(['CONFIG', 'RESETSTAT'])
      for (let n = 0; n < 100; n++) await log.read('c0', cursor, all)
      expect(await client.sendCommand(['INFO', 'commandstats'])).not.toContain('evalsha')
      expect(await client.sendCommand(['INFO', 'clients'])).toContain('connected_clients:2')
    })
  })

  describe('retention', () => {
    it('is by bytes', async () => {
      const log = await opened({ maxBytes: 10_000 })
      for (let n = 0; n < 30; n++) await log.append('c', { data: `${n} ${'.'.repeat(488)}` })
      const { events } = await log.read('c', null, all)
      expect(events.length).toBeGreaterThan(6)
      expect(events.length).toBeLessThan(10)
    })

    it('is by age, and what is known of a channel outlives its events', async () => {
      const log = await opened({ maxAge: 300 })
      const client = await admin(shared)
      const prefix = `${prefixes - 1}:`
      const position = await log.append('c', { data: 'a' }, { key: 'k' })
      await log.append('c', { data: 'b' })
      await eventually(async () => expect((await log.read('c', null, all)).events).toEqual([]))
      expect((await log.read('c', position, all)).gap).toMatchObject({ reason: 'trimmed', oldest: null })
      const next = await log.append('c', { data: 'c' }, { key: 'k' })
      expect(next).toBe(`${epochOf(position)}:3`)
      await log.end('c', close)
      await eventually(async () => expect(await client.sendCommand(['KEYS', `${prefix}*`])).toEqual([]))
      expect(await log.read('c', null, all)).toMatchObject({ after: '0' })
    })

    it('of an epoch that is over ends, while the next one lives', async () => {
      const log = await opened({ maxAge: 300, lookInterval: 50 })
      log.watch('c', watcher())
      const first = await log.append('c', { data: 'a' })
      const end = await log.end('c', close)
      await log.append('c', { data: 'b' })
      expect((await log.read('c', first, all)).finished).toBe(true)
      await eventually(async () => expect((await log.read('c', first, all)).gap?.reason).toBe('epoch'))
      expect((await log.read('c', end, all)).gap?.reason).toBe('epoch')
      expect((await log.read('c', '0', all)).gap?.reason).toBe('trimmed')
    })

    it('does not forget a channel that is watched, nor how it ended', async () => {
      const log = await opened({ maxAge: 100 })
      log.watch('c', watcher())
      log.watch('d', watcher())
      const position = await log.append('c', { data: 'a' })
      await log.append('d', { data: 'a' })
      const end = (await log.end('d', { event: 'close', data: 'bye' })) ?? ''
      await new Promise((resolve) => setTimeout(resolve, 600))
      expect(await log.append('c', { data: 'b' })).toBe(`${epochOf(position)}:2`)
      expect(dataIn(await log.read('d', end.replace(/\d+$/, '1'), all))).toEqual(['bye'])
    })
  })

  describe('an announcement that was lost', () => {
    it('is found by looking now and then', async () => {
      const prefix = `${prefixes++}:`
      const log = await opened({ prefix, lookInterval: 50 })
      const client = await admin(shared)
      const first = await log.append('c', { data: 'a' })
      const seen = watcher()
      log.watch('c', seen)
      await log.append('c', { data: 'b' })
      await eventually(async () => expect((await log.read('c', first, all)).events).toHaveLength(1))
      const silent = scripts.append.replace(/redis\.call\('SPUBLISH'.*/, '')
      const [head = '', tail = ''] = encode({ id: 'X', data: 'c' }).toString().split('X')
      seen.onAppend.mockClear()
      await client.eval(silent, {
        keys: [`${prefix}{c}`],
        arguments: [head, tail, '', 'unused', '0', '', '0', '1000', '4000000', '60000'],
      })
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
      expect(dataIn(await log.read('c', first, all))).toEqual(['b', 'c'])
    })
  })

  describe('while Redis is away', () => {
    it('calls fail as unavailable, watchers are told, and all goes on by itself; with AOF nothing acknowledged is lost', async () => {
      const redis = await ownRedis(AOF)
      const onConnection = vi.fn()
      const log = await opened({ url: redis.url, onConnection })
      const first = await log.append('c', { data: 'a' }, { key: 'k' })
      const seen = watcher()
      log.watch('c', seen)
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())

      await redis.kill()
      await eventually(() => expect(seen.onError).toHaveBeenCalledOnce())
      expect(log.isReady).toBe(false)
      expect(onConnection.mock.calls).toEqual([[expect.any(Error)]])
      for (const call of [log.append('c', { data: 'b' }), log.end('c', close), log.read('c', null, all)])
        await expect(call).rejects.toMatchObject({ name: 'EventLogError', kind: 'unavailable', retryAfter: 5 })

      seen.onAppend.mockClear()
      await redis.restart()
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
      expect(onConnection).toHaveBeenLastCalledWith(null)
      expect(await log.append('c', { data: 'a' }, { key: 'k' })).toBe(first)
      await log.append('c', { data: 'b' })
      expect(await log.read('c', first, all)).toMatchObject({ after: first, events: { length: 1 }, mayLack: true })
      expect(await kept(log, 'c')).toEqual(['a', 'b'])
      seen.onAppend.mockClear()
      await log.append('c', { data: 'c' })
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
    })

    it('one that was away from the beginning is found when it comes', async () => {
      const redis = await ownRedis()
      await redis.kill()
      const log = new RedisEventLog({ url: redis.url, onConnection: () => undefined })
      onTestFinished(() => log.close())
      const seen = watcher()
      log.watch('c', seen)
      await expect(log.append('c', { data: 'a' })).rejects.toMatchObject({ kind: 'unavailable' })
      await redis.restart()
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
      await log.append('c', { data: 'a' })
    })

    it('one that hangs is noticed', async () => {
      const redis = await ownRedis()
      const log = await opened({ url: redis.url, answerTimeout: 300 })
      await log.append('c', { data: 'a' })
      redis.signal('SIGSTOP')
      await expect(log.append('c', { data: 'b' })).rejects.toMatchObject({ kind: 'unavailable' })
      expect(log.isReady).toBe(false)
      redis.signal('SIGCONT')
      await ready(log)
      await log.append('c', { data: 'c' })
    })

    it('one that has no room refuses, and keeps what it has', async () => {
      const redis = await ownRedis(['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction'])
      const log = await opened({ url: redis.url })
      const fill = async (): Promise<void> => {
        for (let n = 0; n < 100; n++) await log.append(`c${n}`, { data: '.'.repeat(60_000) })
      }
      await expect(fill()).rejects.toMatchObject({ kind: 'bytes', retryAfter: 30 })
      expect((await log.read('c0', null, all)).events).toHaveLength(1)
    })
  })

  describe('a Redis that lost something is told as a gap, never by silence', () => {
    it('killed without AOF: the next event begins a new epoch', async () => {
      const redis = await ownRedis()
      const log = await opened({ url: redis.url })
      const cursor = await log.append('c', { data: 'a' })
      await redis.kill()
      await redis.restart()
      await ready(log)
      expect((await log.read('c', cursor, all)).gap).toMatchObject({ reason: 'epoch', oldest: null })
      const next = await log.append('c', { data: 'b' })
      expect((await log.read('c', cursor, all)).gap).toMatchObject({ reason: 'epoch', oldest: next })
    })

    it('restarted from an old snapshot: positions that were given are not given again', async () => {
      const redis = await ownRedis(['--dbfilename', 'dump.rdb'])
      const client = await admin(redis)
      const log = await opened({ url: redis.url })
      const first = await log.append('c', { data: 'a' })
      await client.sendCommand(['SAVE'])
      const cursor = await log.append('c', { data: 'b' })
      await redis.kill()
      await redis.restart()
      await ready(log)
      expect((await log.read('c', cursor, all)).gap).toMatchObject({ reason: 'ahead' })
      const next = await log.append('c', { data: 'not b' })
      expect(epochOf(next)).not.toBe(epochOf(cursor))
      const again = await log.read('c', cursor, all)
      expect(again).toMatchObject({ after: first, gap: { reason: 'ahead', latest: next } })
      expect(dataIn(await log.read('c', again.after, all)), 'whoever is no longer ahead continues').toEqual(['not b'])
      expect(await kept(log, 'c')).toEqual(['a', 'not b'])
    })

    it('restored from an old AOF: whoever has seen more is told so', async () => {
      const redis = await ownRedis(AOF)
      const log = await opened({ url: redis.url })
      const first = await log.append('c', { data: 'a' })
      const [aof, copy] = ['appendonlydir', 'copy'].map((name) => join(redis.folder, name)) as [string, string]
      await redis.kill()
      await cp(aof, copy, { recursive: true })
      await redis.restart()
      await ready(log)
      const cursor = await log.append('c', { data: 'b' })
      await redis.kill()
      await rm(aof, { recursive: true })
      await cp(copy, aof, { recursive: true })
      await redis.restart()
      await ready(log)
      expect((await log.read('c', cursor, all)).gap).toMatchObject({ reason: 'epoch', oldest: first, latest: first })
      expect((await log.read('c', first, all)).gap).toBeUndefined()
    })

    it('a replica that takes over: the next event begins a new epoch, in which everyone continues who is not ahead', async () => {
      const atOnce = [...AOF, '--repl-diskless-sync-delay', '0']
      const [redis, replica] = await Promise.all([ownRedis(atOnce), ownRedis(atOnce)])
      const { port } = new URL(redis.url)
      const client = await admin(replica)
      const before = await opened({ url: redis.url, prefix: 'c' })
      const cursor = await before.append('c', { data: 'a' })
      await client.sendCommand(['REPLICAOF', '127.0.0.1', port])
      await eventually(async () =>
        expect(await client.sendCommand(['INFO', 'replication'])).toContain('link_status:up'),
      )
      await client.sendCommand(['REPLICAOF', 'NO', 'ONE'])
      const after = await opened({ url: replica.url, prefix: 'c' })
      expect((await after.read('c', cursor, all)).gap).toBeUndefined()
      const next = await after.append('c', { data: 'b' })
      expect(epochOf(next)).not.toBe(epochOf(cursor))
      expect(await after.read('c', cursor, all)).toMatchObject({ events: [{ position: next }], top: next })
      const ahead = cursor.replace(/\d+$/, '2')
      expect((await after.read('c', ahead, all)).gap).toMatchObject({ reason: 'ahead', latest: next })
    })

    it('restarted again and again: whoever was away all the time gets all of it, in order', async () => {
      const redis = await ownRedis(AOF)
      const log = await opened({ url: redis.url })
      const first = await log.append('c', { data: '0' })
      for (const data of ['1', '2', '3']) {
        await redis.kill()
        await redis.restart()
        await ready(log)
        await log.append('c', { data })
      }
      const end = (await log.end('c', close)) ?? ''
      const got: string[] = []
      let cursor = first
      for (;;) {
        const { gap, events, finished } = await log.read('c', cursor, all)
        expect([gap, events.length > 0]).toEqual([undefined, true])
        got.push(...events.map(({ frame }) => /^data: (.*)$/m.exec(frame.toString())?.[1] ?? ''))
        cursor = events.at(-1)?.position ?? ''
        if (finished) break
      }
      expect([got, cursor]).toEqual([['1', '2', '3', ''], end])
      expect(await log.read('c', null, all)).toMatchObject({ events: [], after: `${epochOf(end)}+` })
    })

    it.each([
      ['everything', 'epoch', ['FLUSHALL']],
      ['what is known of the channel', 'epoch', ['DEL', 'log:{c}']],
      ['its events', 'trimmed', ['DEL', 'log:{c}:=']],
    ])('flushed or evicted, %s: a subscriber hears of it', async (_what, reason, command) => {
      const redis = await ownRedis()
      const client = await admin(redis)
      const log = await opened({ url: redis.url, prefix: 'log:', lookInterval: 50 })
      const seen = watcher()
      log.watch('c', seen)
      const first = await log.append('c', { data: 'a' })
      await log.append('c', { data: 'b' })
      await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
      await client.sendCommand(command.map((word) => word.replace('=', epochOf(first))))
      await eventually(async () => expect((await log.read('c', first, all)).gap).toMatchObject({ reason }))
      const next = await log.append('c', { data: 'c' })
      expect((await log.read('c', first, all)).gap).toMatchObject({ reason, oldest: next })
    })
  })
})
