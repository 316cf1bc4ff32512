/** Servers are killed at random moments, `KILLS` times (fewer by default; the long run has 200), while clients write and screens watch. */

import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { emptyInbox, inboxPaths, reduceInbox, type Inbox } from '../../shared/demos/inbox'
import { emptyList, reduceTodos, todosPathOf, type TodoList } from '../../shared/demos/todos'
import { databaseUrl, startNodes, TestNode } from '../testingNodes'
import { hasRedis, startRedis } from '../testingRedis'
import { screenOf, Writer, type AnyServer, type Screen } from '../testingScreens'
import { Database } from './database'

const KILLS = process.env['KILLS'] === undefined ? null : Number(process.env['KILLS'])
vi.setConfig({ testTimeout: 120_000 + (KILLS ?? 10) * 20_000 })

const LIST = 'shared'
const USER = 'ada'

const random = (n: number): number => Math.floor(Math.random() * n)
const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T

const todosOf = (server: AnyServer): Screen<TodoList> => screenOf(server, todosPathOf(LIST), emptyList, reduceTodos)
const inboxOf = (server: AnyServer): Screen<Inbox> =>
  screenOf(server, `${inboxPaths.stream}?user=${USER}`, emptyInbox, reduceInbox)

/** Waits until every screen shows what was acknowledged, and what is stored. */
async function allRight(
  server: AnyServer,
  writers: readonly Writer[],
  todos: readonly Screen<TodoList>[],
  inboxes: readonly Screen<Inbox>[],
): Promise<void> {
  const [fresh, stored] = [todosOf(server), inboxOf(server)]
  const acknowledged = new Map(writers.flatMap((writer) => [...writer.todos]))
  const expected = [...acknowledged].map(([id, todo]) => ({ id, ...todo })).sort(byId)
  await vi.waitFor(
    () => {
      for (const { state } of [fresh, ...todos])
        expect(state.todos.map(({ id, title, completed }) => ({ id, title, completed })).sort(byId)).toEqual(expected)
      expect(stored.reconnects).toBeGreaterThanOrEqual(0)
      expect(stored.state.version).toBeGreaterThan(0)
      for (const { state } of inboxes) expect(state.messages).toEqual(stored.state.messages)
    },
    { timeout: 20_000, interval: 10 },
  )
  fresh.leave()
  stored.leave()
  // Those that were read may have made room for newer ones, so it is the newest that must be there.
  const ids = new Set(stored.state.messages.map(({ id }) => id))
  const newest = writers.flatMap(({ messages }) => messages.slice(-40 / writers.length))
  expect(newest.filter((id) => !ids.has(id))).toEqual([])
}

function report(what: string, writers: readonly Writer[]): void {
  const changes = writers.reduce((sum, writer) => sum + writer.changes, 0)
  const messages = writers.reduce((sum, writer) => sum + writer.messages.length, 0)
  console.log(`${what}, ${changes} changes, ${messages} messages: every screen right, nothing lost.`)
}

it('a server that is killed loses nothing that it acknowledged, and leaves no screen wrong', async () => {
  const kills = KILLS ?? 8
  const server = new TestNode({ DATABASE_URL: databaseUrl() })
  await server.start()
  const url = (): string => server.url
  const todos = [1, 2].map(() => todosOf(url))
  const inboxes = [1, 2].map(() => inboxOf(url))
  const writers = [1, 2].map(() => new Writer(url, LIST, USER))

  for (let kill = 1; kill <= kills; kill++) {
    for (const writer of writers) writer.start()
    await sleep(random(500))
    await server.kill()
    await server.start()
    await sleep(random(100))
    await Promise.all(writers.map((writer) => writer.pause()))
    await allRight(url, writers, todos, inboxes)
  }
  report(`${kills} kills`, writers)
  for (const { reconnects } of [...todos, ...inboxes]) expect(reconnects).toBeGreaterThan(0)
})

it.runIf(hasRedis)(
  'of several servers, one that is killed between database and Redis leaves no screen wrong, at any of them',
  async () => {
    const kills = KILLS ?? 6
    // Otherwise it may be killed with what it acknowledged and has not written.
    const redis = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
    onTestFinished(() => redis.stop())
    const DATABASE_URL = databaseUrl()
    // What is stored waits for up to so long before it is announced, so that it is there that most are killed.
    const nodes = await startNodes(3, { DATABASE_URL, REDIS_URL: redis.url, PUBLISH_DELAY_MS: '60' })
    const any = (): string => pick(nodes).url
    // Two that stay with each node, and two that come back anywhere.
    const servers = [...nodes.map((node) => () => node.url), any]
    const [todos, inboxes] = [servers.map(todosOf), servers.map(inboxOf)]
    const writers = [1, 2, 3, 4].map(() => new Writer(any, LIST, USER))
    const database = new Database({ url: DATABASE_URL })
    onTestFinished(() => database.close())

    let left = 0
    for (let kill = 1; kill <= kills; kill++) {
      for (const writer of writers) writer.start()
      await sleep(random(500))
      const node = pick(nodes)
      await node.kill()
      const [row] = await database.query(`SELECT count(*) AS count FROM pending`)
      left += Number(row?.['count'])
      await sleep(random(200))
      const redisIsKilled = random(4) === 0
      if (redisIsKilled) await redis.kill()
      await sleep(random(200))
      await Promise.all([node.start(), redisIsKilled ? redis.restart() : null])
      await Promise.all(writers.map((writer) => writer.pause()))
      await allRight(any, writers, todos, inboxes)
    }
    report(`${kills} kills of one in three, ${left} changes pending`, writers)
    await vi.waitFor(async () => expect(await database.query('SELECT * FROM pending')).toEqual([]), {
      timeout: 20_000,
      interval: 100,
    })
  },
)

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}
