/** The contract of every EventLog, as tests: `describeEventLog(name, create)` runs them on an implementation. */

import { describe, expect, it, onTestFinished, vi, type Mock } from 'vitest'
import { parsePosition, type Awaitable, type EventLog, type Watcher } from './sse/eventLog'
import { all, close, dataIn, describeReads, ended, epochOf, none, positionsIn, text } from './testingEventLogReads'

/** Opens an empty log that keeps this many events per epoch, for at least 60 s. The suite closes it. */
export type CreateEventLog = (options: { maxEvents: number }) => Awaitable<EventLog>

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

  describe(`append, ${name}`, () => {
    it('encodes an event once, with its position as the id', async () => {
      const log = await created()
      const position = await log.append('c', { event: 'tick', data: 'a\nb' })
      const batch = await log.read('c', null, all)
      expect(text(batch)).toBe(`event: tick\nid: ${position}\ndata: a\ndata: b\n\n`)
      expect(positionsIn(batch)).toEqual([position])
    })

    it('counts offsets from 1 without gaps, in an epoch of its own for each channel', async () => {
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

    it('with a known key appends nothing, and returns that event’s position', async () => {
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

    it('knows its keys even after the end of their epoch, and begins no new epoch for them', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' }, { key: 'one' })
      const end = await ended(log)
      expect(await log.append('c', { data: 'a' }, { key: 'one' })).toBe(first)
      expect((await log.read('c', null, all)).after).toBe(`${epochOf(end)}+`)
    })

    it('refuses an event that cannot be encoded, and stores nothing of it', async () => {
      const log = await created()
      const attempt = async (): Promise<unknown> => log.append('c', { event: 'a\nb' })
      await expect(attempt()).rejects.toMatchObject({ name: 'SseEncodeError', kind: 'event' })
      expect(parsePosition(await log.append('c', { data: 'a' }))).toMatchObject({ offset: 1 })
    })

    it('keeps at least the promised events', async () => {
      const log = await created(50)
      const { events, bytes } = log.retention
      expect(events).toBeGreaterThan(0)
      expect(bytes).toBeGreaterThan(0)
      const few = Math.min(events, 50)
      for (let n = 0; n < 60; n++) await log.append('c', { data: String(n) })
      expect(dataIn(await log.read('c', null, all)).length).toBeGreaterThanOrEqual(few)
    })
  })

  describeReads(name, created)

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

    it('ends nothing in a channel without events, or that has ended', async () => {
      const log = await created()
      expect(await log.end('c', close)).toBe(null)
      await log.append('c', { data: 'a' })
      await ended(log)
      expect(await log.end('c', close)).toBe(null)
    })

    it('begins one epoch for the end if somebody waits for a first event', async () => {
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
    it('reports when it is established, then appends and the end of its channel, until it is stopped', async () => {
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

    it('misses nothing: events appended before it is established can be read by then', async () => {
      const log = await created()
      let seen = 0
      const look = async (): Promise<void> => {
        seen = Math.max(seen, (await log.read('c', null, all)).events.length)
      }
      log.watch('c', { onAppend: () => void look(), onError: () => undefined })
      for (let n = 0; n < 20; n++) await log.append('c', { data: String(n) })
      await eventually(() => expect(seen).toBe(20))
    })

    it('counts one watcher twice if it watches twice', async () => {
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

  it(`${name}, does not work once it is closed`, async () => {
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
