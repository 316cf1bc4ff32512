/** The contract of an EventLog's reads: a part of `describeEventLog`. */

import { describe, expect, it } from 'vitest'
import { parsePosition, type Batch, type ChannelEvent, type EventLog, type ReadLimits } from './sse/eventLog'

export const all: ReadLimits = { maxBytes: 1e6 }
export const none: ReadLimits = { maxBytes: 0 }
export const close: ChannelEvent = { event: 'close', data: '' }

export const text = ({ events }: Batch): string => events.map(({ frame }) => frame.toString()).join('')
export const dataIn = (batch: Batch): string[] =>
  [...text(batch).matchAll(/^data: ([^\n]*)$/gm)].map(([, data = '']) => data)
export const positionsIn = ({ events }: Batch): string[] => events.map(({ position }) => position)
export const epochOf = (position: string | null): string => parsePosition(position ?? '')?.epoch ?? ''

/** Ends the channel, and returns the position of its end. */
export async function ended(log: EventLog, channel = 'c'): Promise<string> {
  const position = await log.end(channel, close)
  if (position === null) throw new Error('There was no epoch to end.')
  return position
}

export function describeReads(name: string, created: (maxEvents?: number) => Promise<EventLog>): void {
  describe(`read, ${name}`, () => {
    it('returns the events after a cursor', async () => {
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

    it('returns frames up to the limit in bytes, but at least one, and none with a limit of 0', async () => {
      const log = await created()
      for (const data of ['a', 'b', 'c']) await log.append('c', { data })
      const size = (await log.read('c', null, all)).events[0]?.frame.length ?? 0
      const count = async (maxBytes: number): Promise<number> => (await log.read('c', null, { maxBytes })).events.length
      expect(await count(0)).toBe(0)
      expect(await count(1)).toBe(1)
      expect(await count(2 * size - 1)).toBe(1)
      expect(await count(2 * size)).toBe(2)
    })

    it('changes nothing: reading and watching a channel in every way does not create it', async () => {
      const log = await created()
      const stop = log.watch('c', { onAppend: () => undefined, onError: () => undefined })
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

    it('after 0 returns the first events', async () => {
      const log = await created()
      const position = await log.append('c', { data: 'a' })
      expect(await log.read('c', '0', all)).toMatchObject({ events: [{ position }], after: '0', top: position })
      expect(await log.read('c', '0', none)).toEqual({ events: [], after: '0', top: position, finished: false })
      const end = await ended(log)
      await log.append('c', { data: 'b' })
      expect(await log.read('c', '0', all)).toMatchObject({ events: { length: 2 }, top: end, finished: true })
    })

    it('after an end returns the next epoch, and no later one', async () => {
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

    it('shows a newcomer only the living epoch, while the ended one can still be finished', async () => {
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

    it('ahead in an ended epoch leads to just before its last event, so that the end is sent', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const last = await ended(log)
      const { after, gap } = await log.read('c', first.replace(/\d+$/, '9'), all)
      expect(gap).toMatchObject({ reason: 'ahead', latest: last })
      expect(after).toBe(first)
    })

    it('is where events were trimmed: for any cursor before them, including 0 and one after an end', async () => {
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

    it('without a known epoch leads to the oldest stored one, even if that has ended: no stored event is skipped', async () => {
      const log = await created()
      const first = await log.append('c', { data: 'a' })
      const end = await ended(log)
      await log.append('c', { data: 'b' })
      const { after, gap } = await log.read('c', 'gone:5', all)
      expect(gap).toEqual({ reason: 'epoch', requested: 'gone:5', oldest: first, latest: end })
      expect(dataIn(await log.read('c', after, all))).toEqual(['a', ''])
    })
  })
}
