import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { EventLogError } from '../sse/eventLog'
import { Hub } from '../sse/hub'
import { MemoryEventLog } from '../sse/memoryEventLog'
import { SseEmitter } from '../sse/emitter'
import { nodeSink } from '../sse/nodeSink'
import { Client, eventsOf, request, serve } from '../testing'
import { Database, type Row } from './database'
import { Feeds, type FeedState } from './feeds'
import { markIn, Outbox, type Mark } from './outbox'

vi.setConfig({ testTimeout: 30_000 })

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

let database: Database
beforeEach(() => {
  database = new Database({ url: ':memory:' })
  return () => database.close()
})

const pending = (): Promise<Row[]> => database.query('SELECT channel, version FROM pending ORDER BY channel, version')
const rowOf = (version: number, feed = 'a'): object => ({ channel: `#test:${feed}`, version })

interface TestFeeds {
  feeds: Feeds
  outbox: Outbox
  log: MemoryEventLog
  /** Changes a feed, as a process does that dies before it announces that. */
  change: (feed?: string) => Promise<Mark>
  /** Changes a feed, and announces that. */
  changeAndAnnounce: (feed?: string) => Promise<void>
  snapshots: number
}

interface TestFeedsOptions {
  lease?: number
  log?: MemoryEventLog
  /** Called after the state was read, and before it is announced. */
  onSnapshot?: () => unknown
}

/** A process whose feeds show nothing but the number of the newest change. */
function start({ lease = 0, log = new MemoryEventLog(), onSnapshot }: TestFeedsOptions = {}): TestFeeds {
  onTestFinished(() => log.close())
  const outbox = new Outbox(database, '#test:', { lease })
  const snapshot = async (): Promise<FeedState> => {
    test.snapshots += 1
    const [row] = await database.query('SELECT version FROM changes')
    await onSnapshot?.()
    return { version: Number(row?.['version']) }
  }
  const feeds = new Feeds({ hub: new Hub(log), outbox, snapshot, interval: 20 })
  const change = async (feed = 'a'): Promise<Mark> => {
    const [, marked] = await database.batch([{ sql: 'UPDATE changes SET version = version + 1' }, outbox.mark(feed)])
    return markIn(marked)
  }
  const test: TestFeeds = {
    feeds,
    outbox,
    log,
    change,
    changeAndAnnounce: async (feed = 'a') => {
      const mark = await change(feed)
      await feeds.announce(feed, mark, [{ event: 'change', data: { version: mark } }], 'client')
    },
    snapshots: 0,
  }
  return test
}

/** Whoever uses a feed looks for what others left behind. */
const use = ({ feeds }: TestFeeds): Promise<void> => feeds.announce('another', null, [], 'client')

/** The events of a feed in a log. */
function announced(log: MemoryEventLog, feed = 'a'): string[] {
  const { events } = log.read(`#test:${feed}`, null, { maxBytes: Infinity })
  return events.map(({ frame }) => {
    const [{ event, data } = {}] = eventsOf(frame.toString())
    return `${event} ${data}`
  })
}

describe('an outbox', () => {
  it('has a change until it is announced, and nothing where nothing was changed', async () => {
    const { outbox, change } = start()
    expect(await change()).toBe(1)
    const [, marked] = await database.batch([
      { sql: 'UPDATE changes SET version = 9 WHERE version > 99' },
      outbox.mark('a'),
    ])
    expect(markIn(marked)).toBeNull()
    expect(await change('b')).toBe(2)
    expect(await pending()).toEqual([rowOf(1), rowOf(2, 'b')])
    await outbox.announced('a', 1)
    expect(await pending()).toEqual([rowOf(2, 'b')])
  })

  it('gives a change to one process at a time, when the lease of the last one has run out', async () => {
    const patient = start({ lease: 60_000 })
    await patient.change()
    expect(await patient.outbox.claim()).toEqual([])
    await database.query('UPDATE pending SET lease = 0')
    expect(await patient.outbox.claim()).toEqual(['a'])
    expect(await patient.outbox.claim()).toEqual([])
    await patient.outbox.release(['a'])
    expect(await patient.outbox.claim()).toEqual(['a'])
    // Another kind of feed is not its own.
    expect(await new Outbox(database, '#tes:').claim()).toEqual([])
  })
})

describe('a feed', () => {
  it('announces a change once, and has nothing pending then', async () => {
    const process = start({ lease: 60_000 })
    await process.changeAndAnnounce()
    expect(announced(process.log)).toEqual(['change {"version":1}'])
    expect(await pending()).toEqual([])
  })

  it('whose process died before it announced a change is announced by another one, and by one only', async () => {
    const log = new MemoryEventLog()
    const dead = start({ log })
    for (let n = 0; n < 3; n++) await dead.change()
    await dead.change('b')
    const living = [1, 2, 3].map(() => start({ log, lease: 60_000 }))
    for (const process of living) await use(process)
    await eventually(async () => expect(await pending()).toEqual([]))
    expect(announced(log)).toEqual(['snapshot {"version":4,"late":true}'])
    expect(announced(log, 'b')).toEqual(['snapshot {"version":4,"late":true}'])
  })

  it('keeps the mark of a change that came after the snapshot that announces others', async () => {
    let changes = 0
    const process = start({
      lease: 50,
      // A change that dies unannounced, between the reading of the state and its announcement.
      onSnapshot: async () => {
        if (changes++ < 2) await process.change()
      },
    })
    await process.change()
    await use(process)
    await eventually(() => expect(announced(process.log).at(-1)).toBe('snapshot {"version":3,"late":true}'))
    await eventually(async () => expect(await pending()).toEqual([]))
  })

  it('has one change pending, however many could not be announced, and announces its state when that is possible', async () => {
    const process = start({ lease: 60_000 })
    const append = vi.spyOn(process.log, 'append').mockImplementation(() => {
      throw new EventLogError('oversized', 'There is no log.')
    })
    for (let n = 0; n < 20; n++) await process.changeAndAnnounce()
    expect(await pending()).toEqual([rowOf(20)])
    await process.changeAndAnnounce('b')
    append.mockRestore()
    await eventually(async () => expect(await pending()).toEqual([]))
    expect(announced(process.log)).toEqual(['snapshot {"version":21,"late":true}'])
    expect(announced(process.log, 'b')).toEqual(['snapshot {"version":21,"late":true}'])
  })

  it('does not drop older changes because a newer one was announced', async () => {
    const process = start({ lease: 60_000 })
    await process.change()
    await process.changeAndAnnounce()
    expect(await pending()).toEqual([rowOf(1)])
  })

  it('asks the log once, and not for each feed, while that cannot be reached', async () => {
    const process = start()
    for (const feed of ['a', 'b', 'c', 'd']) await process.change(feed)
    vi.spyOn(process.log, 'append').mockImplementation(() => {
      throw new EventLogError('unavailable', 'Redis is away.')
    })
    const claim = vi.spyOn(process.outbox, 'claim')
    await use(process)
    await eventually(() => expect(claim.mock.settledResults.length).toBeGreaterThan(2))
    expect(process.snapshots).toBeLessThanOrEqual(claim.mock.calls.length)
    vi.restoreAllMocks()
    await eventually(async () => expect(await pending()).toEqual([]))
  })

  it('whose change could not be announced announces all of its state as soon as there is room', async () => {
    const { feeds, changeAndAnnounce, log } = start({ log: new MemoryEventLog({ maxTotalBytes: 20_000, maxAge: 200 }) })
    const port = await serve((_req, res) =>
      feeds.subscribe('a', null, () => new SseEmitter(nodeSink(res), { retry: false, heartbeat: 0 })),
    )
    const client = new Client(port, request('GET').replace('1.1', '1.0'))
    await client.until(/"version":0/)

    const hub = new Hub(log)
    while (
      await hub.publish('full', { data: 'x'.repeat(1_000) }).then(
        () => true,
        () => false,
      )
    );
    await changeAndAnnounce()
    expect(client.received).not.toContain('"version":1')

    // What fills the log goes with its age.
    await client.until(/"version":1/)
    const events = eventsOf(client.received.split('\r\n\r\n')[1] ?? '')
    expect(events.map(({ event, data }) => `${event} ${data}`)).toEqual([
      'snapshot {"version":0}',
      'snapshot {"version":1,"late":true}',
    ])
    await eventually(() => expect(log.size).toBe(1))
  })
})
