/** What every EventLog promises, as tests: `describeEventLog(name, create)` runs them on an implementation. */

import { describe, expect, it, onTestFinished, vi, type Mock } from 'vitest'
import { parsePosition, type Awaitable, type Batch, type EventLog, type Watcher } from './sse/eventLog'

/** Opens an empty log that keeps so many events of an epoch, and at least 60 s of them. The suite closes it. */
export type CreateEventLog = (options: { maxEvents: number }) => Awaitable<EventLog>

const all = { maxBytes: 1e6 }
const none = { maxBytes: 0 }
const close = { event: 'close', data: '' }

const text = ({ events }: Batch): string => events.map(({ frame }) => frame.toString()).join('')
const dataIn = (batch: Batch): string[] => [...text(batch).matchAll(/^data: ([^\n]*)$/gm)].map(([, data = '']) => data)
const positionsIn = ({ events }: Batch): string[] => events.map(({ position }) => position)
const epochOf = (position: string | null): string => parsePosition(position ?? '')?.epoch ?? ''
const eventually = (assertion: () => unknown): Promise<unknown> => vi.waitFor(assertion, { timeout: 20_000 })

function watcher(): { onAppend: Mock<Watcher['onAppend']>; onError: Mock<Watcher['onError']> } {
  return { onAppend: vi.fn(), onError: vi.fn() }
}

export function describeEventLog(name: string, create: CreateEventLog): void {
  const created = async (maxEvents = 1_000): Promise<EventLog> => {
    const log = await create({ maxEvents })
    onTestFinished(() => log.close())
    return log
  }
  /** Ends the channel, and returns the position of its end. */
  const ended = async (log: EventLog, channel = 'c'): Promise<string> => {
    const position = await log.end(channel, close)
    if (position === null) throw new Error('There was no epoch to end.')
    return position
  }

  describe(`append, ${name}`, () => {
    it('encodes an event once, with its position as the id', async () => {
      const log = await created()
      const position = await log.append('c', { event: 'tick', data: 'a\nb' })
      const batch = await log.read('c', null, all)
      expect(text(batch)).toBe(`event: tick\nid: ${position}\ndata: a\ndata: b\n\n`)
      expect(positionsIn(batch)).toEqual([position])
    })

    it('counts offsets from 1 without a hole in an epoch of its own for each channel', async () => {
      const log = await created()
      const positions = [await log.append('c', { data: 'a' }), await log.append('c', { data: 'b' })]
      const foreign = await log.append('d', { data: 'c' })
      const epoch = epochOf(positions[0] ?? '')
      expect(positions).toEqual([`${epoch}:1`, `${epoch}:2`])
      expect(parsePosition(foreign)).toMatchObject({ offset: 1 })
      expect(epochOf(foreign)).not.toBe(epoch)
    })

    it('carries bytes of every kind', async () => {
      const log = await created()
      const data = '订阅 שלום 👩‍👩‍👧 e\u0301 \u0000 \u2028 "\\ id: 1'
      await log.append('c', { data })
      expect(dataIn(await log.read('c', null, all))).toEqual([data])
    })

    it('with a key that it has already seen appends nothing, and returns where that event is', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' }, { key: 'one' })
      const second = await log.append('c', { data: 'b' }, { key: 'two' })
      expect(await log.append('c', { data: 'again' }, { key: 'one' })).toBe(first)
      expect(await Promise.all([1, 2].map(async () => log.append('c', { data: 'b' }, { key: 'two' })))).toEqual([
        second,
        second,
      ])
      await log.append('d', { data: 'a channel has keys of its own' }, { key: 'one' })
      expect(dataIn(await log.read('c', null, all))).toEqual(['a', 'b'])
      expect(dataIn(await log.read('d', null, all))).toHaveLength(1)
    })

    it('knows its keys also after the end of their epoch, and begins none for them', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' }, { key: 'one' })
      const end = await ended(log)
      expect(await log.append('c', { data: 'a' }, { key: 'one' })).toBe(first)
      expect((await log.read('c', null, all)).after).toBe(`${epochOf(end)}+`)
    })

    it('refuses an event that cannot be encoded, and keeps nothing of it', async () => {
      const log = await created()
      const attempt = async (): Promise<unknown> => log.append('c', { event: 'a\nb' })
      await expect(attempt()).rejects.toMatchObject({ name: 'SseEncodeError', kind: 'event' })
      expect(parsePosition(await log.append('c', { data: 'a' }))).toMatchObject({ offset: 1 })
    })

    it('keeps at least the events that it says it does', async () => {
      const log = await created(50)
      const { events, bytes } = log.retention
      expect(events).toBeGreaterThan(0)
      expect(bytes).toBeGreaterThan(0)
      const few = Math.min(events, 50)
      for (let n = 0; n < 60; n++) await log.append('c', { data: String(n) })
      expect(dataIn(await log.read('c', null, all)).length).toBeGreaterThanOrEqual(few)
    })
  })

  describe(`read, ${name}`, () => {
    it('returns what follows a cursor', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const second = await log.append('c', { data: 'b' })
      expect(await log.read('c', first, all)).toMatchObject({
        events: [{ position: second }],
        after: first,
        top: second,
        finished: false,
      })
      expect(await log.read('c', second, all)).toEqual({ events: [], after: second, top: second, finished: false })
    })

    it('returns frames up to the limit in bytes, but at least one, and with a limit of 0 none', async () => {
      const log = await created()
      for (const data of ['a', 'b', 'c']) await log.append('c', { data })
      const size = (await log.read('c', null, all)).events[0]?.frame.length ?? 0
      const count = async (maxBytes: number): Promise<number> => (await log.read('c', null, { maxBytes })).events.length
      expect(await count(0)).toBe(0)
      expect(await count(1)).toBe(1)
      expect(await count(2 * size - 1)).toBe(1)
      expect(await count(2 * size)).toBe(2)
    })

    it('changes nothing: a channel that was read and watched in every way is as if it had never been', async () => {
      const log = await created()
      const stop = log.watch('c', watcher())
      for (let n = 0; n < 2; n++) {
        expect(await log.read('c', null, all)).toEqual({ events: [], after: '0', top: '0', finished: false })
        expect(await log.read('c', '0', all)).toEqual({ events: [], after: '0', top: '0', finished: false })
        for (const cursor of ['e:7', 'e+', 'junk'])
          expect(await log.read('c', cursor, all)).toEqual({
            events: [],
            after: '0',
            top: '0',
            finished: false,
            gap: { reason: cursor === 'junk' ? 'malformed' : 'epoch', requested: cursor, oldest: null, latest: '0' },
          })
        expect(await log.end('c', close)).toBe(null)
      }
      stop()
      expect(parsePosition(await log.append('c', { data: 'a' }))).toMatchObject({ offset: 1 })
    })

    it('after 0 returns what came first', async () => {
      const log = await created()
      const position = await log.append('c', { data: 'a' })
      expect(await log.read('c', '0', all)).toMatchObject({ events: [{ position }], after: '0', top: position })
      expect(await log.read('c', '0', none)).toEqual({ events: [], after: '0', top: position, finished: false })
      const end = await ended(log)
      await log.append('c', { data: 'b' })
      expect(await log.read('c', '0', all)).toMatchObject({ events: { length: 2 }, top: end, finished: true })
    })

    it('after an end returns the epoch that follows it, and no later one', async () => {
      const log = await created()
      await log.append('c', { data: 'a' })
      const after = `${epochOf(await ended(log))}+`
      expect(await log.read('c', null, all)).toEqual({ events: [], after, top: after, finished: false })
      expect(await log.read('c', after, all)).toEqual({ events: [], after, top: after, finished: false })
      const position = await log.append('c', { data: 'b' })
      expect(await log.read('c', after, all)).toMatchObject({ events: [{ position }], after, top: position })
      await ended(log)
      await log.append('c', { data: 'c' })
      expect(dataIn(await log.read('c', after, all))).toEqual(['b', ''])
      expect((await log.read('c', after, all)).finished).toBe(true)
    })

    it('shows a newcomer the living epoch alone, while the one that is over still finishes', async () => {
      const log = await created()
      const old = await log.append('c', { data: 'old' })
      const end = await ended(log)
      const fresh = await log.append('c', { data: 'new' })
      expect(await log.read('c', null, all)).toMatchObject({
        events: [{ position: fresh }],
        after: `${epochOf(fresh)}:0`,
      })
      expect((await log.read('c', old, all)).events).toMatchObject([{ position: end }])
      expect((await log.read('c', end, all)).finished).toBe(true)
    })
  })

  describe(`a gap, ${name}`, () => {
    it.each([
      ['malformed', 'junk'],
      ['malformed', 'e:-1'],
      ['malformed', 'e:1.5'],
      ['malformed', 'e:01'],
      ['malformed', 'e:1 or more'],
      ['malformed', 'e:1\n'],
      ['malformed', '00'],
      ['malformed', '+'],
      ['malformed', 'e+1'],
      ['malformed', `${'e'.repeat(10_000)}:1`],
      ['malformed', `e:${'9'.repeat(10_000)}`],
      ['epoch', 'e:1'],
      ['epoch', 'e+'],
      ['epoch', '__proto__:1'],
      ['epoch', 'constructor+'],
    ])('%s leads to before the oldest event that is kept: %#', async (reason, cursor) => {
      const log = await created()
      const oldest = await log.append('c', { data: 'a' })
      const latest = await log.append('c', { data: 'b' })
      const after = `${epochOf(latest)}:0`
      expect(await log.read('c', cursor, all)).toEqual({
        events: [],
        after,
        top: latest,
        finished: false,
        gap: { reason, requested: cursor.slice(0, 100), oldest, latest },
      })
      expect(dataIn(await log.read('c', after, all))).toEqual(['a', 'b'])
    })

    it.each(['=:3', '=:9007199254740993', '=+'])('ahead leads to the top: %s', async (cursor) => {
      const log = await created()
      const oldest = await log.append('c', { data: 'a' })
      const latest = await log.append('c', { data: 'b' })
      const requested = cursor.replace('=', epochOf(latest))
      expect(await log.read('c', requested, all)).toEqual({
        events: [],
        after: latest,
        top: latest,
        finished: false,
        gap: { reason: 'ahead', requested, oldest, latest },
      })
    })

    it('ahead in an epoch that is over leads to before its last event, so that the end is told', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const last = await ended(log)
      const { after, gap } = await log.read('c', first.replace(/\d+$/, '9'), all)
      expect(gap).toMatchObject({ reason: 'ahead', latest: last })
      expect(after).toBe(first)
    })

    it('is where events were trimmed: for a cursor before them, also 0 and one after an end', async () => {
      const log = await created(3)
      await log.append('c', { data: 'first' })
      const end = await ended(log)
      const positions: string[] = []
      for (let n = 1; n <= 20; n++) positions.push(await log.append('c', { data: String(n) }))
      const { events, after: start } = await log.read('c', null, all)
      const oldest = events[0]?.position
      expect(events.length).toBeLessThan(20)
      for (const requested of [positions[0] ?? '', `${epochOf(end)}+`])
        expect(await log.read('c', requested, all)).toEqual({
          events: [],
          after: start,
          top: positions.at(-1),
          finished: false,
          gap: { reason: 'trimmed', requested, oldest, latest: positions.at(-1) },
        })
      expect(positionsIn(await log.read('c', start, all))).toEqual(positionsIn({ events } as Batch))
      for (let n = 1; n <= 20; n++) await log.append('d', { data: String(n) })
      expect((await log.read('d', '0', all)).gap).toMatchObject({ reason: 'trimmed', requested: '0' })
    })

    it('without a known epoch leads to the oldest that is kept, also when that is over: nothing kept is skipped', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const end = await ended(log)
      await log.append('c', { data: 'b' })
      const { after, gap } = await log.read('c', 'gone:5', all)
      expect(gap).toEqual({ reason: 'epoch', requested: 'gone:5', oldest: first, latest: end })
      expect(dataIn(await log.read('c', after, all))).toEqual(['a', ''])
    })
  })

  describe(`end, ${name}`, () => {
    it('keeps the epoch for its cursors: the rest, then finished', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const last = await log.end('c', { event: 'close', data: 'bye' })
      const rest = await log.read('c', first, all)
      expect(text(rest)).toBe(`event: close\nid: ${last}\ndata: bye\n\n`)
      expect(rest.finished).toBe(true)
      expect(await log.read('c', last, none)).toEqual({ events: [], after: last, top: last, finished: true })
      expect(await log.read('c', first, none)).toMatchObject({ events: [], finished: false })
    })

    it('has nothing to end in a channel without an event, or twice', async () => {
      const log = await created()
      expect(await log.end('c', close)).toBe(null)
      await log.append('c', { data: 'a' })
      await ended(log)
      expect(await log.end('c', close)).toBe(null)
    })

    it('begins an epoch for the end where somebody waits for a first event, and once', async () => {
      const log = await created()
      const end = async (...waiting: string[]): Promise<string | null> => log.end('c', close, { waiting })
      const first = await end('0')
      expect(await log.read('c', '0', all)).toMatchObject({ events: [{ position: first }], finished: true })
      expect([await end('0'), await end()]).toEqual([null, null])
      const after = `${epochOf(first)}+`
      const second = await end('0', after)
      expect(await log.read('c', after, all)).toMatchObject({ events: [{ position: second }], finished: true })
      expect([await end(after), await end('0', after)]).toEqual([null, null])
    })
  })

  describe(`watch, ${name}`, () => {
    it('says when it is established, and then of appends and the end in its channel, until it is stopped', async () => {
      const log = await created()
      const [one, other] = [watcher(), watcher()]
      const stop = log.watch('c', one)
      log.watch('c', other)
      expect(one.onAppend).not.toHaveBeenCalled()
      await eventually(() => expect(one.onAppend).toHaveBeenCalled())
      await eventually(() => expect(other.onAppend).toHaveBeenCalled())

      const calls = (): number => one.onAppend.mock.calls.length
      let before = calls()
      await log.append('c', { data: 'a' })
      await eventually(() => expect(calls()).toBeGreaterThan(before))
      before = calls()
      await ended(log)
      await eventually(() => expect(calls()).toBeGreaterThan(before))

      stop()
      stop()
      before = calls()
      const othersBefore = other.onAppend.mock.calls.length
      await log.append('c', { data: 'b' })
      await eventually(() => expect(other.onAppend.mock.calls.length).toBeGreaterThan(othersBefore))
      expect(calls()).toBe(before)
      expect(one.onError).not.toHaveBeenCalled()
    })

    it('misses nothing: what is appended before it is established is there when it says so', async () => {
      const log = await created()
      let seen = 0
      const look = async (): Promise<void> => {
        seen = Math.max(seen, (await log.read('c', null, all)).events.length)
      }
      log.watch('c', { onAppend: () => void look(), onError: () => undefined })
      for (let n = 0; n < 20; n++) await log.append('c', { data: String(n) })
      await eventually(() => expect(seen).toBe(20))
    })

    it('with one watcher twice is two watches', async () => {
      const log = await created()
      const both = watcher()
      const stop = log.watch('c', both)
      log.watch('c', both)
      stop()
      stop()
      await eventually(() => expect(both.onAppend).toHaveBeenCalled())
      both.onAppend.mockClear()
      await log.append('c', { data: 'a' })
      await eventually(() => expect(both.onAppend).toHaveBeenCalled())
    })
  })

  it(`${name}, works no more once it is closed`, async () => {
    const log = await created()
    await log.append('c', { data: 'a' })
    const seen = watcher()
    log.watch('c', seen)
    await eventually(() => expect(seen.onAppend).toHaveBeenCalled())
    await log.close()
    await log.close()
    seen.onAppend.mockClear()
    const attempts = [
      async () => log.append('c', { data: 'b' }),
      async () => log.read('c', null, all),
      async () => log.end('c', close),
    ]
    for (const attempt of attempts)
      await expect(attempt()).rejects.toMatchObject({ name: 'EventLogError', kind: 'closed' })
    expect(seen.onAppend).not.toHaveBeenCalled()
  })
}
