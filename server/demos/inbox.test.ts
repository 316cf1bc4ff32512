import { describe, expect, it, vi } from 'vitest'
import {
  emptyInbox,
  inboxPaths,
  MAX_MESSAGES,
  reduceInbox,
  type Inbox,
  type InboxEvent,
} from '../../shared/demos/inbox'
import { Database } from '../store/database'
import { Outbox } from '../store/outbox'
import { Messages } from './inbox/messages'
import type { Client } from '../testing'
import { errorOf, eventsIn, startApp, type Headers, type Reply, type TestApp, type TestAppOptions } from '../testingApp'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

interface InboxApp extends TestApp {
  stream: (user?: string, headers?: Headers) => Client
  post: (path: string, params: Record<string, string>) => Promise<Reply>
  write: (text: string, more?: Record<string, string>) => Promise<Reply>
  read: (params?: Record<string, string>) => Promise<Reply>
}

async function start(options: TestAppOptions = {}): Promise<InboxApp> {
  const app = await startApp(options)
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
  const post = (path: string, params: Record<string, string>): Promise<Reply> =>
    app.ask('POST', path, form, new URLSearchParams(params).toString())
  return {
    ...app,
    post,
    stream: (user = 'ada', headers) => app.open(`${inboxPaths.stream}?user=${encodeURIComponent(user)}`, headers),
    write: (text, more) => post(inboxPaths.messages, { user: 'ada', from: 'bob', text, ...more }),
    read: (params) => post(inboxPaths.read, { user: 'ada', ...params }),
  }
}

const inboxEventsIn = (client: Client): InboxEvent[] =>
  eventsIn(client).map(({ event, data }) => ({ event, data: JSON.parse(data) as unknown }) as InboxEvent)

/** What a screen shows that has this stream. */
const shownBy = (client: Client): Inbox => inboxEventsIn(client).reduce(reduceInbox, emptyInbox)
const texts = (client: Client): string[] =>
  shownBy(client).messages.map(({ text, read }) => `${text}${read ? ' ✓' : ''}`)
const idOf = ({ body }: Reply): string => (JSON.parse(body) as { id: string }).id

describe('an inbox', () => {
  it('begins with a snapshot, and tells every screen what is written and read', async () => {
    const app = await start()
    expect((await app.write('before')).status).toBe(201)
    const [one, two] = [app.stream(), app.stream()]
    for (const screen of [one, two]) await eventually(() => expect(texts(screen)).toEqual(['before']))
    const second = idOf(await app.write('after'))
    for (const screen of [one, two]) await eventually(() => expect(texts(screen)).toEqual(['before', 'after']))
    expect((await app.read({ id: second })).status).toBe(200)
    for (const screen of [one, two]) await eventually(() => expect(texts(screen)).toEqual(['before', 'after ✓']))
    await app.read()
    for (const screen of [one, two]) await eventually(() => expect(texts(screen)).toEqual(['before ✓', 'after ✓']))
    expect(inboxEventsIn(one).map(({ event }) => event)).toEqual(['snapshot', 'message', 'read', 'read'])
  })

  it('belongs to its user, whose name may be of any script', async () => {
    const app = await start()
    await app.write('hello', { user: '小明' })
    const [theirs, other] = [app.stream('小明'), app.stream()]
    await eventually(() => expect(texts(theirs)).toEqual(['hello']))
    await eventually(() => expect(inboxEventsIn(other)).toHaveLength(1))
    expect(texts(other)).toEqual([])
  })

  it('continues after the last event of a screen that comes back, and with a snapshot where it cannot', async () => {
    const app = await start()
    await app.write('1')
    const first = app.stream()
    await eventually(() => expect(texts(first)).toEqual(['1']))
    await app.write('2')
    await eventually(() => expect(texts(first)).toEqual(['1', '2']))
    const after = eventsIn(first)[1]?.id ?? ''
    first.socket.destroy()
    for (const text of ['3', '4', '5']) await app.write(text)

    const resumed = app.stream('ada', { 'Last-Event-ID': after })
    await resumed.until(/"5"/)
    expect(inboxEventsIn(resumed).map(({ event }) => event)).toEqual(['message', 'message', 'message'])
    const lost = app.stream('ada', { 'Last-Event-ID': 'gone-with-its-process:12' })
    await eventually(() => expect(texts(lost)).toEqual(['1', '2', '3', '4', '5']))
    expect(inboxEventsIn(lost)).toHaveLength(1)
  })

  it('gives a screen that saw it before its first event a new snapshot: what came since may be in no log', async () => {
    const database = new Database({ url: ':memory:' })
    const before = (await start({ database })).stream()
    await eventually(() => expect(eventsIn(before)).toMatchObject([{ event: 'snapshot', id: '0' }]))
    // It died before it could tell anyone.
    await new Messages(database, new Outbox(database, '#inbox:')).add('ada', { id: 'm1', from: 'bob', text: 'stored' })
    const app = await start({ database })
    const after = app.stream('ada', { 'Last-Event-ID': '0' })
    await app.write('next')
    await eventually(() => expect(texts(after)).toEqual(['stored', 'next']))
  })

  it('takes a message that is sent again with its id once', async () => {
    const app = await start()
    const screen = app.stream()
    for (const text of ['once', 'once', 'changed']) expect((await app.write(text, { id: 'same' })).status).toBe(201)
    await app.write('end')
    await eventually(() => expect(texts(screen)).toEqual(['once', 'end']))
  })

  it('that is full drops the oldest message that was read, and refuses when none was', async () => {
    const app = await start()
    const screen = app.stream()
    for (let n = 0; n < MAX_MESSAGES; n++) await app.write(`${n}`, { id: `m${n}` })
    expect(errorOf(await app.write('too many'))).toMatchObject({ status: 409, code: 'inbox-full' })
    await app.read({ id: 'm3' })
    expect((await app.write('fits')).status).toBe(201)
    expect(errorOf(await app.write('too many'))).toMatchObject({ status: 409, code: 'inbox-full' })
    // Again with the id of one that is there: nothing has to make room.
    expect((await app.write('4', { id: 'm4' })).status).toBe(201)
    const expected = [...Array.from({ length: MAX_MESSAGES }, (_, n) => `${n}`).filter((text) => text !== '3'), 'fits']
    await eventually(() => expect(texts(screen)).toEqual(expected))
    const other = app.stream()
    await eventually(() => expect(texts(other)).toEqual(expected))
  })

  it.each([
    [inboxPaths.messages, { user: '' }, 400, 'user'],
    [inboxPaths.messages, { user: 'a b', text: 'x' }, 400, 'user'],
    [inboxPaths.messages, { user: 'x'.repeat(33), text: 'x' }, 400, 'user'],
    [inboxPaths.messages, { user: 'ada', from: '<b>', text: 'x' }, 400, 'user'],
    [inboxPaths.messages, { user: 'ada' }, 400, 'text-empty'],
    [inboxPaths.messages, { user: 'ada', text: ' \n ' }, 400, 'text-empty'],
    [inboxPaths.messages, { user: 'ada', text: 'x'.repeat(1_001) }, 413, 'text-long'],
    [inboxPaths.messages, { user: 'ada', text: 'x', id: 'a/b' }, 400, 'id'],
    [inboxPaths.read, { user: 'ada', id: 'unknown' }, 404, 'no-message'],
    [inboxPaths.read, {}, 400, 'user'],
  ])('refuses POST %s with %o: %d %s', async (path, params, status, code) => {
    const app = await start()
    expect(errorOf(await app.post(path, params as Record<string, string>))).toMatchObject({ status, code })
  })

  it('refuses a stream for a user that cannot be', async () => {
    const app = await start()
    for (const path of [inboxPaths.stream, `${inboxPaths.stream}?user=a&user=b`])
      expect(errorOf(await app.ask('GET', path))).toMatchObject({ status: 400, code: 'user' })
  })

  it('says that its database cannot be written, without its path, for streams and changes alike', async () => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const database = new Database({ url: 'file:/dev/null/demo.db' })
    const app = await start({ database })
    for (const reply of [await app.ask('GET', `${inboxPaths.stream}?user=ada`), await app.write('lost?')]) {
      expect(errorOf(reply)).toMatchObject({ status: 503, code: 'database-unwritable' })
      expect(reply.body).not.toContain('/dev/null')
    }
    expect(console.warn).toHaveBeenCalledWith(expect.stringContaining('/dev/null'))
  })

  it('is changed with the token only, where there is one', async () => {
    const app = await start({ pushToken: '0123456789abcdef' })
    expect(errorOf(await app.write('x'))).toMatchObject({ status: 401 })
    expect(errorOf(await app.read())).toMatchObject({ status: 401 })
  })
})
