import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parsePosition, type Batch, type EventLog } from './eventLog'
import { MemoryEventLog } from './memoryEventLog'

/** What every implementation promises. */
const implementations: [name: string, create: () => EventLog][] = [['memory', () => new MemoryEventLog()]]

describe.each(implementations)('EventLog, %s', (_name, create) => {
  const created = (): EventLog => {
    const log = create()
    onTestFinished(() => log.close())
    return log
  }
  const text = ({ events }: Batch): string => events.map(({ frame }) => frame.toString()).join('')
  const all = 1e6

  it('encodes an event once, with its position as the id, and every reader gets those bytes', async () => {
    const log = created()
    const position = await log.append('c', { event: 'tick', data: 'a\nb' })
    const one = await log.read('c', null, all)
    const other = await log.read('c', null, all)
    expect(text(one)).toBe(`event: tick\nid: ${position}\ndata: a\ndata: b\n\n`)
    expect(other.events[0]?.frame).toBe(one.events[0]?.frame)
  })

  it('counts offsets from 1 without a hole in an epoch of its own for each channel', async () => {
    const log = created()
    const positions = [await log.append('c', { data: 'a' }), await log.append('c', { data: 'b' })]
    const foreign = await log.append('d', { data: 'c' })
    const epoch = parsePosition(positions[0] ?? '')?.epoch
    expect(positions).toEqual([`${epoch}:1`, `${epoch}:2`])
    expect(parsePosition(foreign)).toEqual({ epoch: expect.not.stringMatching(`^${epoch}$`) as string, offset: 1 })
  })

  it('reads what follows a cursor', async () => {
    const log = created()
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

  it('begins an epoch for a newcomer, who has missed nothing of it', async () => {
    const log = created()
    const { events, after, top } = await log.read('c', null, all)
    expect(events).toEqual([])
    expect(after).toBe(top)
    expect(parsePosition(after)?.offset).toBe(0)
    const position = await log.append('c', { data: 'a' })
    expect((await log.read('c', after, all)).events).toMatchObject([{ position }])
  })

  it('reads up to the limit in bytes, but at least one event, and with a limit of 0 none', async () => {
    const log = created()
    for (const data of ['a', 'b', 'c']) await log.append('c', { data })
    const size = (await log.read('c', null, all)).events[0]?.frame.length ?? 0
    const count = async (limit: number): Promise<number> => (await log.read('c', null, limit)).events.length
    expect(await count(0)).toBe(0)
    expect(await count(1)).toBe(1)
    expect(await count(2 * size - 1)).toBe(1)
    expect(await count(2 * size)).toBe(2)
  })

  it.each([
    ['malformed', 'junk'],
    ['malformed', 'e:-1'],
    ['malformed', 'e:1.5'],
    ['malformed', 'e:01'],
    ['malformed', 'e:1 or more'],
    ['malformed', 'e:1\n'],
    ['malformed', `${'e'.repeat(10_000)}:1`],
    ['malformed', `e:${'9'.repeat(10_000)}`],
    ['epoch', 'e:1'],
    ['epoch', '__proto__:1'],
    ['ahead', '=:3'],
    ['ahead', '=:9007199254740993'],
  ])('answers a cursor that is %s with a gap that goes on at the top: %#', async (reason, cursor) => {
    const log = created()
    const oldest = await log.append('c', { data: 'a' })
    const latest = await log.append('c', { data: 'b' })
    const requested = cursor.replace('=', parsePosition(latest)?.epoch ?? '')
    expect(await log.read('c', requested, all)).toEqual({
      events: [],
      after: latest,
      top: latest,
      finished: false,
      gap: { reason, requested: requested.slice(0, 100), oldest, latest },
    })
  })

  it('has a gap, and an epoch to go on in, for a cursor into a channel that is not', async () => {
    const log = created()
    const { after, gap } = await log.read('c', 'e:7', all)
    expect(gap).toEqual({ reason: 'epoch', requested: 'e:7', oldest: null, latest: after })
    expect(await log.read('c', after, all)).toEqual({ events: [], after, top: after, finished: false })
  })

  it('keeps an epoch that is over for its cursors: the rest, then finished', async () => {
    const log = created()
    const first = await log.append('c', { data: 'a' })
    const last = await log.end('c', { event: 'close', data: 'bye' })
    const rest = await log.read('c', first, all)
    expect(text(rest)).toBe(`event: close\nid: ${last}\ndata: bye\n\n`)
    expect(rest.finished).toBe(true)
    expect(await log.read('c', last, 0)).toEqual({ events: [], after: last, top: last, finished: true })
    expect(await log.read('c', first, 0)).toMatchObject({ events: [], finished: false })
  })

  it('begins a new epoch after the end, which newcomers see alone, while the old one still finishes', async () => {
    const log = created()
    const old = await log.append('c', { data: 'old' })
    const last = await log.end('c', { event: 'close', data: '' })
    const fresh = await log.append('c', { data: 'new' })
    expect(text(await log.read('c', null, all))).toBe(`id: ${fresh}\ndata: new\n\n`)
    expect((await log.read('c', old, all)).events).toMatchObject([{ position: last }])
    expect((await log.read('c', last, all)).finished).toBe(true)
  })

  it('after a gap in an epoch that is over, goes on before the last event, so that the end is told', async () => {
    const log = created()
    const first = await log.append('c', { data: 'a' })
    const last = await log.end('c', { event: 'close', data: '' })
    const { after, gap } = await log.read('c', first.replace(/\d+$/, '9'), all)
    expect(gap).toMatchObject({ reason: 'ahead', latest: last })
    expect(after).toBe(first)
  })

  it('has nothing to end in a channel that is not, or is over', async () => {
    const log = created()
    expect(await log.end('c', { event: 'close' })).toBe(null)
    await log.append('c', { data: 'a' })
    await log.end('c', { event: 'close' })
    expect(await log.end('c', { event: 'close' })).toBe(null)
  })

  it('tells watchers of appends and of the end, of their channel only, until they stop', async () => {
    const log = created()
    const onAppend = vi.fn()
    const stop = log.watch('c', onAppend)
    const other = log.watch('c', onAppend)
    await log.append('c', { data: 'a' })
    await log.append('d', { data: 'b' })
    await vi.waitFor(() => expect(onAppend).toHaveBeenCalledTimes(2), 5_000)
    stop()
    stop()
    await log.end('c', { event: 'close' })
    await vi.waitFor(() => expect(onAppend).toHaveBeenCalledTimes(3), 5_000)
    other()
    await log.append('c', { data: 'c' })
    expect(onAppend).toHaveBeenCalledTimes(3)
  })

  it('refuses an event that cannot be encoded, and keeps nothing of it', async () => {
    const log = created()
    const attempt = async (): Promise<unknown> => log.append('c', { event: 'a\nb' })
    await expect(attempt()).rejects.toMatchObject({ name: 'SseEncodeError', kind: 'event' })
    expect(parsePosition(await log.append('c', { data: 'a' }))?.offset).toBe(1)
  })

  it('does not work once it is closed', async () => {
    const log = created()
    await log.append('c', { data: 'a' })
    await log.close()
    await log.close()
    const attempts = [
      async () => log.append('c', { data: 'b' }),
      async () => log.read('c', null, all),
      async () => log.end('c', { event: 'close' }),
    ]
    for (const attempt of attempts)
      await expect(attempt()).rejects.toMatchObject({ name: 'EventLogError', kind: 'closed' })
  })
})
