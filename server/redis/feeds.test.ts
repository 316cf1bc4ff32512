import { expect, it, onTestFinished, vi } from 'vitest'
import { emptyInbox, inboxPaths, reduceInbox } from '../../shared/demos/inbox'
import { emptyList, itemPathOf, itemsPathOf, reduceTodos, todosPathOf } from '../../shared/demos/todos'
import { Database } from '../store/database'
import { databaseUrl, startNodes, type TestNode } from '../testingNodes'
import { hasRedis, startRedis } from '../testingRedis'
import { screenOf } from '../testingScreens'

vi.setConfig({ testTimeout: 120_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 30_000, interval: 20 })

const LIST = 'groceries'

it.runIf(hasRedis)(
  'lists and inboxes are the same at both of two servers, and changes that are made while Redis is away are shown when it is back',
  async () => {
    const redis = await startRedis(['--appendonly', 'yes'])
    onTestFinished(() => redis.stop())
    const DATABASE_URL = databaseUrl()
    const nodes = await startNodes(2, { DATABASE_URL, REDIS_URL: redis.url })
    const [one, other] = nodes as [TestNode, TestNode]
    const send = async (
      node: TestNode,
      method: string,
      path: string,
      params?: Record<string, string>,
    ): Promise<void> => {
      const { status } = await fetch(node.url + path, {
        method,
        ...(params ? { body: new URLSearchParams(params) } : {}),
      })
      expect(status).toBeLessThan(300)
    }
    const add = (node: TestNode, id: string): Promise<void> => send(node, 'POST', itemsPathOf(LIST), { id, title: id })
    const write = (node: TestNode, text: string): Promise<void> =>
      send(node, 'POST', inboxPaths.messages, { user: 'ada', from: 'bob', text })

    await Promise.all([add(one, 'milk'), write(one, 'hello')])
    const lists = nodes.map((node) => screenOf(() => node.url, todosPathOf(LIST), emptyList, reduceTodos))
    const inboxes = nodes.map((node) =>
      screenOf(() => node.url, `${inboxPaths.stream}?user=ada`, emptyInbox, reduceInbox),
    )
    const shown = async (titles: string[], texts: string[]): Promise<void> => {
      for (const list of lists)
        await eventually(() => expect(list.state.todos.map(({ title }) => title).sort()).toEqual([...titles].sort()))
      for (const inbox of inboxes)
        await eventually(() => expect(inbox.state.messages.map(({ text }) => text).sort()).toEqual([...texts].sort()))
    }
    await shown(['milk'], ['hello'])
    await add(one, 'bread')
    await add(other, 'salt')
    await write(other, 'again')
    await shown(['milk', 'bread', 'salt'], ['hello', 'again'])

    await redis.kill()
    for (let n = 0; n < 10; n++) await Promise.all([add(one, `one${n}`), add(other, `other${n}`)])
    await send(other, 'DELETE', itemPathOf(LIST, 'salt'))
    await write(one, 'are you there?')
    const database = new Database({ url: DATABASE_URL })
    onTestFinished(() => database.close())
    // One for each feed and each server that is just about to give up, and not one for each change.
    await eventually(async () => expect((await database.query('SELECT * FROM pending')).length).toBeLessThanOrEqual(2))
    await redis.restart()
    const many = Array.from({ length: 10 }, (_, n) => [`one${n}`, `other${n}`]).flat()
    await shown(['milk', 'bread', ...many], ['hello', 'again', 'are you there?'])
    await eventually(async () => expect(await database.query('SELECT * FROM pending')).toEqual([]))
    // Nobody had to come back for it.
    for (const { reconnects } of [...lists, ...inboxes]) expect(reconnects).toBe(0)
  },
)
