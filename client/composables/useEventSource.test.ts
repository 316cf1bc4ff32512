/** Policy: the composable's decisions, with a scripted transport and fake time. Also runs under the oldest supported Vue. */
import { afterEach, beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import { effectScope, ref, watch, type EffectScope } from 'vue'
import { ScriptedTransport, type ScriptedConnection } from './scriptedTransport'
import { EventSourceError, useEventSource, type Transport } from './useEventSource'

let script: ScriptedTransport
let connections: ScriptedConnection[]
let transport: Transport
let scope: EffectScope
/** Uncaught errors that were reported to the page. */
let reported: Mock

const here = (path: string): string => new URL(path, document.baseURI).href
const newest = (): ScriptedConnection => script.newest
const live = (): ScriptedConnection[] => script.live
const microtasks = (): Promise<void> => Promise.resolve()
const frame = (): unknown => vi.advanceTimersByTime(20)
const say = (data: string, id = '', event = 'message'): void => script.say(data, id, event)
const refused = (): void => script.refuse()
const http = (status: number, retryAfter?: number): void =>
  newest().sink.fail({ kind: 'http', message: 'No stream.', status, retryAfter })

/** `useEventSource` in a scope of its own, started. */
async function started<T extends { start: () => void }>(create: () => T): Promise<T> {
  const stream = scope.run(create)
  if (!stream) throw new Error('The scope is over.')
  stream.start()
  await microtasks()
  return stream
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  reported = vi.fn()
  vi.stubGlobal('reportError', reported)
  script = new ScriptedTransport()
  ;({ connections, transport } = script)
  scope = effectScope()
})

afterEach(() => {
  scope.stop()
  expect(live()).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('events', () => {
  it('reach every handler at once, in order, each exactly once: bursts, identical and empty data', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const heard: string[] = []
    stream.on('message', ({ data }) => heard.push(data))
    for (const data of ['1', '2', '2', '', '3']) say(data)
    expect(heard).toEqual(['1', '2', '2', '', '3'])
  })

  it('reach the refs once a frame', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const commits: string[] = []
    scope.run(() => watch(stream.content, (content) => commits.push(content), { flush: 'sync' }))
    for (const data of ['a', 'b', 'c']) say(data)
    expect(stream.content.value).toBe('')
    frame()
    expect(commits).toEqual(['abc'])
  })

  it('reach the refs by a timer when no frame comes, as in a hidden page', async () => {
    vi.spyOn(globalThis, 'requestAnimationFrame').mockReturnValue(0)
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a')
    vi.advanceTimersByTime(250)
    expect(stream.content.value).toBe('a')
  })

  it('reach the refs with each event when flush is sync', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, flush: 'sync' }))
    say('a')
    expect(stream.content.value).toBe('a')
    say('b')
    expect(stream.content.value).toBe('ab')
  })

  it('make `last` a new object each, so that identical ones can be watched', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, flush: 'sync' }))
    let seen = 0
    scope.run(() => watch(stream.last, () => seen++, { flush: 'sync' }))
    say('same')
    say('same')
    expect(seen).toBe(2)
  })

  it('keep name, data and id of `last` together', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, events: ['tick'] }))
    say('a', '1')
    say('b', '2', 'tick')
    frame()
    expect(stream.last.value).toEqual({ event: 'tick', data: 'b', id: '2' })
  })

  it('reach content only as `message` by default, but `last` and handlers under every declared name', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, events: ['tick'] }))
    const ticks: string[] = []
    stream.on('tick', ({ data }) => ticks.push(data))
    say('a')
    say('b', '', 'tick')
    frame()
    expect(stream.content.value).toBe('a')
    expect(stream.last.value?.data).toBe('b')
    expect(ticks).toEqual(['b'])
  })

  it('known only to `on` reach that handler, but neither `last` nor `reduce`', async () => {
    const reduce = vi.fn((sum: number) => sum + 1)
    const stream = await started(() => useEventSource('/sse', { transport, initial: 0, reduce }))
    const heard: string[] = []
    stream.on('extra', ({ data }) => heard.push(data))
    expect(newest().names).toContain('extra')
    say('x', '', 'extra')
    frame()
    expect(heard).toEqual(['x'])
    expect(stream.last.value).toBeNull()
    expect(reduce).not.toHaveBeenCalled()
  })

  it('are decoded once for handlers, `last` and `reduce`', async () => {
    const price = vi.fn((raw: string): { value: number } => ({ value: Number(raw) }))
    const stream = await started(() =>
      useEventSource('/sse', {
        transport,
        decode: { price },
        initial: 0,
        reduce: (sum, event) => (event.event === 'price' ? sum + event.data.value : sum),
      }),
    )
    const heard: unknown[] = []
    stream.on('price', ({ data }) => heard.push(data))
    say('7', '', 'price')
    frame()
    expect(stream.content.value).toBe(7)
    expect(stream.last.value?.data).toBe(heard[0])
    expect(price).toHaveBeenCalledTimes(1)
  })

  it('go to `error`, raw and whole, and to no handler, when the decoder throws', async () => {
    const cause = new SyntaxError('bad')
    const decode = {
      price: (): number => {
        throw cause
      },
    }
    const handler = vi.fn()
    const stream = await started(() => useEventSource('/sse', { transport, decode }))
    newest().sink.open()
    stream.on('price', handler)
    say('{', '9', 'price')
    say('next', '10')
    frame()
    expect(stream.error.value).toMatchObject({ kind: 'decode', cause, event: { event: 'price', data: '{', id: '9' } })
    expect(handler).not.toHaveBeenCalled()
    expect(stream.content.value).toBe('next')
    expect(stream.status.value).toBe('open')
  })

  it('named like a member of Object are events like any other', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, events: ['constructor', 'toString'] }))
    say('a', '', 'constructor')
    say('b', '', 'toString')
    frame()
    expect(stream.last.value).toEqual({ event: 'toString', data: 'b', id: '' })
    expect(stream.error.value).toBeNull()
  })

  it('continue after a handler or a reducer has thrown, and reach the other handlers', async () => {
    const cause = new Error('mine')
    const after: string[] = []
    const stream = await started(() =>
      useEventSource('/sse', {
        transport,
        initial: '',
        reduce: (text, { data }) => {
          if (data === 'bad') throw cause
          return text + data
        },
      }),
    )
    stream.on('message', () => {
      throw cause
    })
    stream.on('message', ({ data }) => after.push(data))
    for (const data of ['a', 'bad', 'b']) say(data)
    frame()
    expect(stream.content.value).toBe('ab')
    expect(after).toEqual(['a', 'bad', 'b'])
    expect(stream.error.value).toMatchObject({ kind: 'handler', cause })
    expect(reported.mock.calls).toEqual([[cause], [cause], [cause], [cause]])
  })

  it('reach a handler that was removed or added meanwhile from the next event on', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const heard: string[] = []
    const off = stream.on('message', ({ data }) => {
      heard.push(`first ${data}`)
      off()
      stream.on('message', (event) => heard.push(`second ${event.data}`))
    })
    say('1')
    say('2')
    off()
    expect(heard).toEqual(['first 1', 'second 2'])
  })

  it('no longer reach a handler whose scope has ended', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const heard: string[] = []
    const component = effectScope(true)
    component.run(() => stream.on('message', ({ data }) => heard.push(data)))
    say('1')
    component.stop()
    say('2')
    expect(heard).toEqual(['1'])
  })

  it('show content that reduce changed in place', async () => {
    const stream = await started(() =>
      useEventSource('/sse', {
        transport,
        initial: () => [] as string[],
        reduce: (list, { data }) => {
          list.push(data)
          return list
        },
      }),
    )
    const lengths: number[] = []
    scope.run(() => watch(stream.content, ({ length }) => lengths.push(length), { flush: 'sync' }))
    say('a')
    frame()
    say('b')
    frame()
    expect(lengths).toEqual([1, 2])
    stream.clear()
    expect(stream.content.value).toEqual([])
  })

  it('keep the newest characters of content, and whole ones', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, limit: 4 }))
    say('0123456789')
    frame()
    expect(stream.content.value).toBe('6789')
    say('ab')
    frame()
    expect(stream.content.value).toBe('89ab')
    say('😀xyz')
    frame()
    expect(stream.content.value).toBe('xyz')
  })

  it('keep nothing of content with a limit of 0', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, limit: 0 }))
    say('abc')
    frame()
    expect(stream.content.value).toBe('')
  })
})

describe('content', () => {
  it('never grows beyond twice the limit between two frames', async () => {
    let longest = 0
    await started(() =>
      useEventSource('/sse', {
        transport,
        limit: 4,
        initial: '',
        reduce: (text, { data }) => {
          longest = Math.max(longest, text.length)
          return text + data
        },
      }),
    )
    for (let n = 0; n < 100; n++) say('x')
    expect(longest).toBe(8)
  })

  it('is triggered once for each commit that changed it, and not without one', async () => {
    const stream = await started(() =>
      useEventSource('/sse', {
        transport,
        initial: () => [] as string[],
        reduce: (list, { data }) => {
          if (data === 'new') return [data]
          list.push(data)
          return list
        },
      }),
    )
    stream.on('extra', () => undefined)
    let seen = 0
    scope.run(() => watch(stream.content, () => seen++, { flush: 'sync' }))
    say('a')
    frame()
    expect(seen).toBe(1)
    say('new')
    frame()
    expect(seen).toBe(2)
    say('', '', 'extra')
    frame()
    stream.stop()
    expect(seen).toBe(2)
  })

  it('that is text is not triggered by events that do not change it', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, events: ['tick'] }))
    let seen = 0
    scope.run(() => watch(stream.content, () => seen++, { flush: 'sync' }))
    say('', '', 'tick')
    frame()
    expect(seen).toBe(0)
  })

  it('that is NaN is published like any other', async () => {
    const stream = await started(() =>
      useEventSource('/sse', { transport, initial: 0, reduce: (sum, { data }) => sum + Number(data) }),
    )
    say('1')
    say('x')
    frame()
    expect(stream.content.value).toBeNaN()
  })

  it('that would exceed the longest possible string stays unchanged, and reports an error', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a'.repeat(2 ** 28))
    say('b'.repeat(2 ** 28))
    say('', '', 'close')
    expect([stream.status.value, stream.content.value.length]).toEqual(['closed', 2 ** 28])
    expect(stream.error.value).toMatchObject({ kind: 'handler', cause: expect.any(RangeError) as unknown })
    expect(reported).toHaveBeenCalledOnce()
  })

  it('may end in any character', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, limit: 2 }))
    say('\uff01\uff02\uff03')
    frame()
    expect(stream.content.value).toBe('\uff02\uff03')
  })
})

describe('the done event', () => {
  it('closes the connection for good without an error, and reaches handlers and `last` but not content', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const heard: string[] = []
    stream.on('close', ({ data }) => heard.push(data))
    newest().sink.open()
    say('a', '1')
    say('bye', '2', 'close')
    expect(stream.status.value).toBe('closed')
    expect(stream.reason.value).toBe('finished')
    expect(stream.error.value).toBeNull()
    expect(stream.content.value).toBe('a')
    expect(stream.last.value).toEqual({ event: 'close', data: 'bye', id: '2' })
    expect(heard).toEqual(['bye'])
    expect(live()).toEqual([])
    await vi.advanceTimersByTimeAsync(100_000)
    expect(connections).toHaveLength(1)
  })

  it('has everything committed before the status is visible', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const seen: string[] = []
    scope.run(() =>
      watch(stream.status, (status) => seen.push(`${status}: ${stream.content.value}`), { flush: 'sync' }),
    )
    newest().sink.open()
    say('a')
    say('b')
    say('', '', 'close')
    expect(seen).toEqual(['open: ', 'closed: ab'])
  })

  it('is forgotten by the next start, which begins a new stream', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('', '31', 'close')
    expect(stream.lastEventId.value).toBe('')
    stream.start()
    await microtasks()
    expect(newest().request.lastEventId).toBe('')
    expect(connections).toHaveLength(2)
  })

  it('lets one of its handlers start the next stream', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const off = stream.on('close', () => {
      off()
      stream.start()
    })
    say('', '', 'close')
    await microtasks()
    expect(connections.map(({ closed }) => closed)).toEqual([true, false])
    expect(stream.status.value).toBe('connecting')
  })

  it('may have another name', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, doneOn: 'end' }))
    expect(newest().names).toContain('end')
    say('', '', 'end')
    expect(stream.reason.value).toBe('finished')
  })

  it('may be recognized by a predicate', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, doneOn: ({ data }) => data === '[DONE]' }))
    say('a')
    say('[DONE]')
    expect(stream.reason.value).toBe('finished')
    expect(stream.content.value).toBe('a')
    expect(stream.last.value?.data).toBe('[DONE]')
  })

  it('is not looked for among events that only `on` knows', async () => {
    const doneOn = vi.fn(() => true)
    const stream = await started(() => useEventSource('/sse', { transport, doneOn }))
    newest().sink.open()
    stream.on('extra', () => undefined)
    say('x', '', 'extra')
    expect(doneOn).not.toHaveBeenCalled()
    expect(stream.status.value).toBe('open')
  })

  it('has not come when the predicate throws', async () => {
    const doneOn = (): never => {
      throw new Error('mine')
    }
    const stream = await started(() => useEventSource('/sse', { transport, doneOn }))
    newest().sink.open()
    say('a')
    frame()
    expect([stream.status.value, stream.error.value?.kind, stream.content.value]).toEqual(['open', 'handler', 'a'])
  })

  it('is recognized by its raw text before any decoder, whose failure is then not an error', async () => {
    const stream = await started(() =>
      useEventSource('/sse', {
        transport,
        decode: { message: (raw): unknown => JSON.parse(raw) },
        doneOn: ({ event, data, id }) => event === 'message' && data === '[DONE]' && id === '9',
      }),
    )
    newest().sink.open()
    say('{"text":"a"}', '8')
    say('[DONE]', '9')
    expect([stream.status.value, stream.reason.value, stream.error.value]).toEqual(['closed', 'finished', null])
    expect(stream.last.value?.data).toEqual({ text: 'a' })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(1)
  })

  it('may not exist', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, doneOn: false, events: ['close'] }))
    newest().sink.open()
    say('', '', 'close')
    expect(stream.status.value).toBe('open')
  })

  it('ends the stream even if its decoder throws', async () => {
    const decode = {
      close: (): never => {
        throw new Error('bad')
      },
    }
    const stream = await started(() => useEventSource('/sse', { transport, decode }))
    say('', '', 'close')
    expect(stream.reason.value).toBe('finished')
    expect(stream.error.value?.kind).toBe('decode')
  })
})

describe('start and stop', () => {
  it('go from idle over connecting and open to closed', async () => {
    const stream = scope.run(() => useEventSource('/sse', { transport }))
    expect(stream?.status.value).toBe('idle')
    stream?.start()
    expect(stream?.status.value).toBe('connecting')
    await microtasks()
    newest().sink.open()
    expect(stream?.status.value).toBe('open')
    stream?.stop()
    expect(stream?.status.value).toBe('closed')
    expect(stream?.reason.value).toBe('stopped')
  })

  it('need no `this` and no arguments: they are click handlers', async () => {
    const { start, stop, status } = await started(() => useEventSource('/sse', { transport }))
    const click = [start, stop] as ((event: Event) => void)[]
    click[1]?.(new Event('click'))
    expect(status.value).toBe('closed')
  })

  it('two starts make one connection', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    stream.start()
    await microtasks()
    newest().sink.open()
    stream.start()
    await microtasks()
    expect(connections).toHaveLength(1)
  })

  it('start, stop and start in one tick make one connection', async () => {
    const stream = scope.run(() => useEventSource('/sse', { transport }))
    stream?.start()
    stream?.stop()
    stream?.start()
    await microtasks()
    expect(connections).toHaveLength(1)
    expect(live()).toHaveLength(1)
  })

  it('stop before the first tick makes none', async () => {
    const immediate = scope.run(() => useEventSource('/sse', { transport, immediate: true }))
    immediate?.stop()
    const stream = scope.run(() => useEventSource(null as string | null, { transport }))
    stream?.start()
    stream?.stop()
    await vi.advanceTimersByTimeAsync(0)
    expect(connections).toEqual([])
    expect(immediate?.status.value).toBe('idle')
  })

  it('any number of rounds leave one connection at a time', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    for (let round = 0; round < 20; round++) {
      newest().sink.open()
      stream.stop()
      stream.start()
      await microtasks()
      expect(live()).toHaveLength(1)
    }
    expect(connections).toHaveLength(21)
  })

  it('stop keeps the id, so that start resumes', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a', '1:7')
    stream.stop()
    expect(stream.lastEventId.value).toBe('1:7')
    stream.start()
    await microtasks()
    expect(newest().request.lastEventId).toBe('1:7')
  })

  it('clear empties everything and forgets the id, but leaves the connection alone', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.open()
    say('a', '1')
    frame()
    stream.clear()
    expect([stream.content.value, stream.last.value, stream.lastEventId.value]).toEqual(['', null, ''])
    expect(stream.status.value).toBe('open')
    say('b')
    frame()
    expect(stream.content.value).toBe('b')
  })

  it('clear forgets the id for good, although the transport keeps reporting it', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a', '7')
    stream.clear()
    say('b', '7')
    newest().sink.id('7')
    frame()
    expect(stream.lastEventId.value).toBe('')
    say('c', '8')
    say('d', '7')
    frame()
    expect(stream.lastEventId.value).toBe('7')
  })

  it.each([
    [
      'stop and start',
      async (stream: { stop: () => void; start: () => void }) => {
        stream.stop()
        stream.start()
        await microtasks()
      },
    ],
    [
      'a retry',
      async () => {
        refused()
        await vi.advanceTimersByTimeAsync(1_000)
      },
    ],
  ])('the same id counts again on another connection, after %s', async (_how, reconnect) => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a', '5')
    stream.clear()
    await reconnect(stream)
    say('a', '5')
    refused()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(newest().request.lastEventId).toBe('5')
  })

  it('clear twice forgets as clear once does', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a', '5')
    stream.clear()
    stream.clear()
    say('b', '5')
    frame()
    expect(stream.lastEventId.value).toBe('')
  })

  it('a stored id waits for the first URL', async () => {
    const url = ref<string | null>(null)
    await started(() => useEventSource(url, { transport, lastEventId: '42' }))
    url.value = '/a'
    await microtasks()
    expect(newest().request).toMatchObject({ url: here('/a'), lastEventId: '42' })
    url.value = '/b'
    await microtasks()
    expect(newest().request).toMatchObject({ url: here('/b'), lastEventId: '' })
  })

  it('a URL that becomes null begins no new stream, and keeps the content', async () => {
    const url = ref<string | null>('/a')
    const stream = await started(() => useEventSource(url, { transport, keepContent: false }))
    say('answer')
    url.value = null
    await microtasks()
    expect([stream.status.value, stream.content.value]).toEqual(['idle', 'answer'])
    url.value = '/b'
    await microtasks()
    expect(stream.content.value).toBe('')
  })

  it('wasOpen survives stop and start, but neither a new URL nor the end', async () => {
    const url = ref('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    newest().sink.open()
    stream.stop()
    stream.start()
    await microtasks()
    expect(newest().request.wasOpen).toBe(true)
    url.value = '/b'
    await microtasks()
    expect(newest().request.wasOpen).toBe(false)
    newest().sink.open()
    newest().sink.end('no-content')
    stream.start()
    await microtasks()
    expect(newest().request.wasOpen).toBe(false)
  })

  it('start resumes after the id that was stored before a reload', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, lastEventId: '41' }))
    expect(stream.lastEventId.value).toBe('41')
    expect(newest().request).toMatchObject({ lastEventId: '41', wasOpen: false })
    say('', '', 'close')
    stream.start()
    await microtasks()
    expect(newest().request.lastEventId).toBe('')
  })

  it.each([true, false])(
    'a stream that resumes keeps its content, and so does a retry: keepContent %s',
    async (keepContent) => {
      const stream = await started(() => useEventSource('/sse', { transport, keepContent }))
      say('a', '1')
      stream.stop()
      stream.start()
      await microtasks()
      refused()
      await vi.advanceTimersByTimeAsync(1_000)
      expect(stream.content.value).toBe('a')
    },
  )

  it.each([
    [true, 'a', 'a'],
    [false, '', undefined],
  ])('a new stream begins with the old content: %s', async (keepContent, content, last) => {
    const stream = await started(() => useEventSource('/sse', { transport, keepContent, doneOn: 'end' }))
    say('a')
    stream.stop()
    stream.start()
    expect([stream.status.value, stream.content.value, stream.last.value?.data]).toEqual(['connecting', content, last])
    await microtasks()
  })

  it('a request says whether the stream has been open', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    newest().sink.open()
    refused()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(connections.map(({ request }) => request.wasOpen)).toEqual([false, false, true])
    stream.stop()
  })

  it('stop in the middle of a burst keeps earlier events and ignores later ones', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a')
    stream.stop()
    say('b')
    frame()
    expect(stream.content.value).toBe('a')
  })

  it('immediate starts after the first render', async () => {
    const stream = scope.run(() => useEventSource('/sse', { transport, immediate: true }))
    expect(stream?.status.value).toBe('idle')
    await microtasks()
    expect(stream?.status.value).toBe('connecting')
    await microtasks()
    expect(connections).toHaveLength(1)
  })
})

describe('a superseded connection', () => {
  it('changes nothing, whatever it reports', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const handler = vi.fn()
    stream.on('message', handler)
    const { sink } = newest()
    stream.stop()
    stream.start()
    await microtasks()
    sink.open()
    sink.message({ event: 'message', data: 'old', id: '1' })
    sink.retrying()
    sink.id('2')
    sink.end('no-content')
    sink.fail({ kind: 'network', message: 'Lost.' })
    frame()
    expect(stream.status.value).toBe('connecting')
    expect(stream.content.value).toBe('')
    expect(stream.lastEventId.value).toBe('')
    expect(handler).not.toHaveBeenCalled()
    expect(live()).toHaveLength(1)
  })

  it('is closed even if it reported its end before it was returned', async () => {
    const eager: Transport = (request, sink) => {
      const connection = transport(request, sink)
      sink.message({ event: 'close', data: '', id: '' })
      return connection
    }
    const stream = await started(() => useEventSource('/sse', { transport: eager }))
    expect(stream.status.value).toBe('closed')
    expect(live()).toEqual([])
  })
})

describe('reconnecting', () => {
  it('by the browser is reported as such: attempts count, and their time is unknown', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.open()
    for (const attempt of [1, 2, 3, 4, 5, 6, 7]) {
      newest().sink.retrying()
      expect(stream.status.value).toBe('reconnecting')
      expect(stream.reason.value).toBe('network')
      expect(stream.error.value?.kind).toBe('network')
      expect(stream.attempt.value).toBe(attempt)
      expect(stream.retryAt.value).toBeNull()
    }
    newest().sink.open()
    expect(stream.status.value).toBe('open')
    expect(stream.error.value).toBeNull()
    expect(connections).toHaveLength(1)
  })

  it('by the composable waits longer each time, gives up after maxAttempts, and says why', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxAttempts: 5 } }))
    const delays: number[] = []
    while (stream.status.value !== 'failed') {
      refused()
      if (stream.retryAt.value === null) break
      delays.push(stream.retryAt.value - Date.now())
      await vi.advanceTimersByTimeAsync(stream.retryAt.value - Date.now())
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000])
    expect(connections).toHaveLength(6)
    expect(stream.reason.value).toBe('refused')
    expect(stream.attempt.value).toBe(5)
    expect(stream.retryAt.value).toBeNull()
    expect(stream.error.value).toBeInstanceOf(EventSourceError)
  })

  it.each([
    [0, [500, 1_000, 1_500, 1_500]],
    [0.5, [750, 1_500, 2_250, 2_250]],
    [1, [1_000, 2_000, 3_000, 3_000]],
  ])('waits half of the delay and up to another half at random (%d), at most maxDelay', async (random, expected) => {
    vi.mocked(Math.random).mockReturnValue(random)
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxDelay: 3_000 } }))
    const delays: number[] = []
    for (let attempt = 0; attempt < 4; attempt++) {
      refused()
      delays.push((stream.retryAt.value ?? 0) - Date.now())
      await vi.advanceTimersByTimeAsync(3_000)
    }
    expect(delays).toEqual(expected)
  })

  it('never gives up: by default a stream outlives every outage', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    for (let attempt = 1; attempt <= 1_000; attempt++) {
      refused()
      expect(stream.attempt.value).toBe(attempt)
      await vi.advanceTimersByTimeAsync(30_000)
    }
    newest().sink.open()
    expect(stream.status.value).toBe('open')
  })

  it('resumes after the last event', async () => {
    await started(() => useEventSource('/sse', { transport }))
    say('a', '1:7')
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(newest().request).toMatchObject({ lastEventId: '1:7', lastEventIdParam: 'lastEventId' })
  })

  it('counts an id-only block, and forgets an id that the server has emptied', async () => {
    await started(() => useEventSource('/sse', { transport }))
    newest().sink.id('5')
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(newest().request.lastEventId).toBe('5')
    say('a', '')
    refused()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(newest().request.lastEventId).toBe('')
  })

  it('resets the attempts only after the connection was stable for a while', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    newest().sink.open()
    await vi.advanceTimersByTimeAsync(4_999)
    expect(stream.attempt.value).toBe(1)
    newest().sink.fail({ kind: 'network', message: 'Lost.' })
    expect(stream.attempt.value).toBe(2)
    await vi.advanceTimersByTimeAsync(2_000)
    newest().sink.open()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(stream.attempt.value).toBe(0)
    refused()
    expect(stream.attempt.value).toBe(1)
    expect(stream.retryAt.value).toBe(Date.now() + 1_000)
  })

  it('a flapping server is not a success: if it accepts and drops at once, it is asked less and less often', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxAttempts: 5 } }))
    const delays: number[] = []
    for (let round = 0; round < 6; round++) {
      newest().sink.open()
      newest().sink.fail({ kind: 'network', message: 'Lost.' })
      delays.push((stream.retryAt.value ?? NaN) - Date.now())
      await vi.advanceTimersByTimeAsync(30_000)
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, NaN])
    expect(stream.status.value).toBe('failed')
    expect(connections).toHaveLength(6)
  })

  it('after responses that are short on purpose stays prompt with stableAfter: 0', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { stableAfter: 0 } }))
    for (let round = 1; round <= 20; round++) {
      newest().sink.open()
      say('a', String(round))
      await vi.advanceTimersByTimeAsync(1)
      newest().sink.fail({ kind: 'network', message: 'Ended.' })
      expect(stream.retryAt.value).toBe(Date.now() + 1_000)
      await vi.advanceTimersByTimeAsync(1_000)
    }
    expect(connections).toHaveLength(21)
  })

  it('does not happen with retry: false, neither by the composable nor by the browser', async () => {
    const ours = await started(() => useEventSource('/sse', { transport, retry: false }))
    refused()
    expect([ours.status.value, ours.reason.value]).toEqual(['failed', 'refused'])
    const browsers = await started(() => useEventSource('/sse', { transport, retry: false }))
    newest().sink.retrying()
    expect([browsers.status.value, browsers.reason.value]).toEqual(['failed', 'network'])
    expect(live()).toEqual([])
  })

  it('asks decide, which may refuse, agree or say when', async () => {
    const decide = vi.fn<(error: EventSourceError, attempt: number) => boolean | number>()
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide } }))
    decide.mockReturnValueOnce(7_000)
    refused()
    expect(stream.retryAt.value).toBe(Date.now() + 7_000)
    await vi.advanceTimersByTimeAsync(7_000)
    decide.mockReturnValueOnce(true)
    http(401)
    expect(stream.status.value).toBe('reconnecting')
    await vi.advanceTimersByTimeAsync(2_000)
    decide.mockReturnValueOnce(false)
    refused()
    expect(stream.status.value).toBe('failed')
    expect(decide.mock.calls.map(([{ kind }, attempt]) => [kind, attempt])).toEqual([
      ['refused', 1],
      ['http', 2],
      ['refused', 3],
    ])
  })

  it('is taken over from the browser when decide says when', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide: () => 3_000 } }))
    newest().sink.retrying()
    expect(live()).toEqual([])
    expect(stream.retryAt.value).toBe(Date.now() + 3_000)
  })

  it('does not survive a decide that throws', async () => {
    const decide = (): never => {
      throw new Error('mine')
    }
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide } }))
    refused()
    expect(stream.status.value).toBe('failed')
  })

  it.each([408, 425, 429, 500, 503])('follows HTTP %d', async (status) => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    http(status)
    expect(stream.status.value).toBe('reconnecting')
    expect(stream.error.value?.status).toBe(status)
  })

  it.each([301, 400, 401, 403, 404, 410])('does not follow HTTP %d', async (status) => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    http(status)
    expect([stream.status.value, stream.reason.value]).toEqual(['failed', 'http'])
  })

  it.each(['content-type', 'invalid-url', 'unsupported'] as const)('does not follow %s', async (kind) => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.fail({ kind, message: 'Final.' })
    expect([stream.status.value, stream.reason.value]).toEqual(['failed', kind])
  })

  it.each([
    // Retry-After, the least and the longest wait.
    [45_000, 45_000, 54_000],
    [0, 1_000, 1_200],
    [500, 1_000, 1_200],
    [99_999_999_999, 3_600_000, 4_320_000],
  ])('honours Retry-After of %d ms, by at most a fifth more', async (retryAfter, least, longest) => {
    for (const [random, expected] of [
      [0, least],
      [1, longest],
    ] as const) {
      vi.mocked(Math.random).mockReturnValue(random)
      const stream = await started(() => useEventSource('/sse', { transport }))
      http(503, retryAfter)
      expect(stream.retryAt.value).toBe(Date.now() + expected)
      stream.stop()
    }
  })

  it("waits at least the server's retry, and longer each time", async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    const waits: number[][] = []
    newest().sink.retry(3_000)
    for (let attempt = 0; attempt < 5; attempt++) {
      const range: number[] = []
      vi.mocked(Math.random).mockReturnValueOnce(0)
      refused()
      range.push((stream.retryAt.value ?? 0) - Date.now())
      waits.push(range)
      await vi.advanceTimersByTimeAsync(60_000)
    }
    expect(waits).toEqual([[3_000], [3_000], [6_000], [12_000], [15_000]])
  })

  it("the server's retry is not cut by maxDelay, but counts at most an hour", async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxDelay: 10_000 } }))
    vi.mocked(Math.random).mockReturnValue(0)
    newest().sink.retry(60_000)
    refused()
    expect(stream.retryAt.value).toBe(Date.now() + 60_000)
    await vi.advanceTimersByTimeAsync(60_000)
    newest().sink.retry(99_999_999_999)
    refused()
    expect(stream.retryAt.value).toBe(Date.now() + 3_600_000)
  })

  it.each([0, 1])('does not happen at once after retry: 0 (random %d)', async (random) => {
    vi.mocked(Math.random).mockReturnValue(random)
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.retry(0)
    refused()
    expect((stream.retryAt.value ?? 0) - Date.now()).toBeGreaterThanOrEqual(10)
  })

  it('never overflows a timer, which would then fire at once', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide: () => 99_999_999_999 } }))
    refused()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(connections).toHaveLength(1)
    expect(stream.status.value).toBe('reconnecting')
  })

  it('happens now when start is called while it waits, and stays one connection', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    stream.start()
    expect([stream.status.value, stream.retryAt.value]).toEqual(['reconnecting', null])
    await microtasks()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(2)
    expect(live()).toHaveLength(1)
  })

  it('ends with stop, which clears the timer', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    stream.stop()
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(1)
    expect([stream.status.value, stream.reason.value, stream.attempt.value]).toEqual(['closed', 'stopped', 0])
  })

  it('gets all attempts when start is called after it has failed', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxAttempts: 1 } }))
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    refused()
    expect(stream.status.value).toBe('failed')
    stream.start()
    expect([stream.status.value, stream.reason.value, stream.error.value]).toEqual(['connecting', null, null])
    await vi.advanceTimersByTimeAsync(0)
    expect(connections).toHaveLength(3)
    refused()
    expect(stream.status.value).toBe('reconnecting')
  })
})

describe('what is known of a connection', () => {
  it('all names and what to send are told to the transport', async () => {
    await started(() =>
      useEventSource('/sse', {
        transport,
        withCredentials: true,
        lastEventIdParam: 'from',
        events: ['tick'],
        decode: { n: Number },
      }),
    )
    expect(newest().names).toEqual(['message', 'n', 'tick', 'close'])
    expect(newest().request).toEqual({
      url: here('/sse'),
      lastEventId: '',
      lastEventIdParam: 'from',
      withCredentials: true,
      wasOpen: false,
    })
  })

  it('names that nobody listens to any more are not requested again', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    for (let n = 0; n < 10_000; n++) stream.on(`n${n}`, () => undefined)()
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(newest().names).toEqual(['message', 'close'])
  })

  it('a name that comes late is listened to by this connection and by the next', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    stream.on('late', () => undefined)
    expect(newest().names).toContain('late')
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(newest().names).toContain('late')
  })

  it('an id-only block reaches the ref', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.id('5')
    frame()
    expect(stream.lastEventId.value).toBe('5')
  })

  it('it is closed once, and gets no more names', async () => {
    const close = vi.fn()
    const listen = vi.fn()
    const stream = await started(() => useEventSource('/sse', { transport: () => ({ listen, close }) }))
    stream.stop()
    listen.mockClear()
    stream.on('late', () => undefined)
    stream.stop()
    expect(close).toHaveBeenCalledTimes(1)
    expect(listen).not.toHaveBeenCalled()
  })

  it('events before the loss are visible when the loss is', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a')
    newest().sink.retrying()
    expect([stream.status.value, stream.content.value]).toEqual(['reconnecting', 'a'])
  })

  it('a connection lost before it was stable does not reset the attempts', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.open()
    newest().sink.retrying()
    vi.advanceTimersByTime(10_000)
    expect(stream.attempt.value).toBe(1)
    newest().sink.open()
    expect(stream.reason.value).toBeNull()
    vi.advanceTimersByTime(4_000)
    newest().sink.open()
    vi.advanceTimersByTime(4_000)
    expect(stream.attempt.value).toBe(1)
    vi.advanceTimersByTime(1_000)
    expect(stream.attempt.value).toBe(0)
  })

  it("the browser's attempts and the composable's are counted together", async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.retrying()
    newest().sink.retrying()
    refused()
    expect(stream.attempt.value).toBe(3)
  })

  it('nothing is due after stop', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    stream.stop()
    expect(stream.retryAt.value).toBeNull()
  })

  it("the server's delay holds for its stream only", async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.retry(200)
    stream.stop()
    stream.start()
    await microtasks()
    refused()
    expect(stream.retryAt.value).toBe(Date.now() + 1_000)
  })

  it('delays stay finite after any number of attempts and any server delay', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { maxAttempts: Infinity } }))
    for (let round = 0; round < 1_100; round++) {
      newest().sink.retry(0)
      refused()
      await vi.advanceTimersByTimeAsync(30_000)
    }
    refused()
    expect(stream.retryAt.value).toBeGreaterThan(Date.now())
  })

  it.each([NaN, undefined, null])('is refused by a decide that answers %s', async (answer) => {
    const decide = (): never => answer as never
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide } }))
    refused()
    expect([stream.status.value, connections.length]).toEqual(['failed', 1])
  })

  it.each([-5, 0])('happens in the next task if decide answers %d', async (answer) => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { decide: () => answer } }))
    refused()
    expect(stream.status.value).toBe('reconnecting')
    await vi.advanceTimersByTimeAsync(1)
    expect(connections).toHaveLength(2)
  })

  it('stableAfter: Infinity never calls a connection stable', async () => {
    const stream = await started(() => useEventSource('/sse', { transport, retry: { stableAfter: Infinity } }))
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    newest().sink.open()
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(stream.attempt.value).toBe(1)
  })

  it('start during an attempt of the composable does nothing', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    refused()
    for (let click = 0; click < 5; click++) {
      stream.start()
      await microtasks()
    }
    expect(connections).toHaveLength(2)
  })

  it('a 204 after a loss leaves no error', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    newest().sink.fail({ kind: 'network', message: 'Lost.' })
    await vi.advanceTimersByTimeAsync(1_000)
    newest().sink.end('no-content')
    expect([stream.status.value, stream.reason.value, stream.error.value]).toEqual(['closed', 'no-content', null])
  })

  it('an error has its name and details', () => {
    const error = new EventSourceError('http', 'No.', { status: 503, body: 'busy', retryAfter: 5 })
    expect(error).toMatchObject({ name: 'EventSourceError', status: 503, body: 'busy', retryAfter: 5 })
  })
})

describe('an end by the server', () => {
  it('is closed, not an error, and forgets the id', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    say('a', '1')
    newest().sink.end('no-content')
    expect([stream.status.value, stream.reason.value, stream.error.value]).toEqual(['closed', 'no-content', null])
    expect(stream.content.value).toBe('a')
    expect(stream.lastEventId.value).toBe('')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(1)
  })
})

describe('the URL', () => {
  it('that changes closes the old connection before the new one opens, and forgets the id', async () => {
    const url = ref('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    say('a', '1')
    const opened = vi.fn()
    script.onConnect = () => void opened(live().length)
    url.value = '/b'
    await microtasks()
    expect(stream.status.value).toBe('connecting')
    expect(newest().request).toMatchObject({ url: here('/b'), lastEventId: '' })
    expect(opened.mock.calls).toEqual([[1]])
  })

  it.each([
    ['/a', '/b'],
    [null, '/b'],
  ])('that changes from %s to %s in the task of the start is opened once', async (from, to) => {
    const url = ref(from)
    const stream = scope.run(() => useEventSource(url, { transport }))
    stream?.start()
    url.value = to
    await microtasks()
    await microtasks()
    expect(connections.map(({ request }) => request.url)).toEqual([here('/b')])
  })

  it('that changes in the task of a resuming start does not get the id of the old one', async () => {
    const url = ref('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    say('a', 'A7')
    refused()
    stream.start()
    url.value = '/b'
    await microtasks()
    await microtasks()
    expect(connections.map(({ request }) => [request.url, request.lastEventId])).toEqual([
      [here('/a'), ''],
      [here('/b'), ''],
    ])
  })

  it('that a watcher of the status takes back is not opened', async () => {
    const url = ref<string | null>(null)
    const stream = scope.run(() => useEventSource(url, { transport }))
    if (!stream) throw new Error('The scope is over.')
    scope.run(() => watch(stream.status, (status) => status === 'connecting' && (url.value = null), { flush: 'sync' }))
    stream.start()
    url.value = '/a'
    await vi.advanceTimersByTimeAsync(1_000)
    expect([stream.status.value, live()]).toEqual(['idle', []])
  })

  it.each([true, false])('that a watcher of the status stops is not opened: reactive %s', async (isReactive) => {
    const url = ref<string | null>(null)
    let plain: string | null = null
    const stream = scope.run(() =>
      useEventSource(() => (isReactive ? url.value : plain), { transport, idleTimeout: 1_000 }),
    )
    if (!stream) throw new Error('The scope is over.')
    scope.run(() => watch(stream.status, (status) => status === 'connecting' && stream.stop(), { flush: 'sync' }))
    stream.start()
    url.value = plain = '/b'
    await vi.advanceTimersByTimeAsync(20_000)
    expect(connections).toEqual([])
    expect(['idle', 'closed']).toContain(stream.status.value)
  })

  it('that has changed back by the end of the task counts as unchanged', async () => {
    const url = ref('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    newest().sink.open()
    say('a', '7')
    url.value = '/b'
    url.value = '/a'
    await microtasks()
    expect([stream.status.value, connections.length, live().length]).toEqual(['open', 1, 1])
    refused()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(newest().request.lastEventId).toBe('7')
  })

  it('that changes often in one tick makes one connection', async () => {
    const url = ref('/a')
    await started(() => useEventSource(() => `${url.value}?q`, { transport }))
    for (const to of ['/b', '/c', '/d']) url.value = to
    await microtasks()
    expect(connections.map(({ request }) => request.url)).toEqual([here('/a?q'), here('/d?q')])
  })

  it('that changes while a retry waits leaves one connection, and none after the scope', async () => {
    const url = ref('/a')
    await started(() => useEventSource(url, { transport }))
    refused()
    url.value = '/b'
    await vi.advanceTimersByTimeAsync(60_000)
    expect(connections).toHaveLength(2)
    scope.stop()
    expect(live()).toEqual([])
  })

  it.each([null, undefined, ''])('%j closes to idle, armed for the next one', async (none) => {
    const url = ref<string | null | undefined>('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    url.value = none
    await microtasks()
    expect(stream.status.value).toBe('idle')
    expect(live()).toEqual([])
    expect(connections).toHaveLength(1)
    url.value = '/b'
    await microtasks()
    expect(stream.status.value).toBe('connecting')
    expect(newest().request.url).toBe(here('/b'))
  })

  it('that is missing at start is waited for', async () => {
    const url = ref<string>()
    const stream = await started(() => useEventSource(() => url.value, { transport }))
    expect(stream.status.value).toBe('idle')
    url.value = '/a'
    await microtasks()
    expect(connections).toHaveLength(1)
  })

  it('that changes opens nothing before start and after stop', async () => {
    const url = ref('/a')
    const stream = scope.run(() => useEventSource(url, { transport }))
    url.value = '/b'
    await microtasks()
    expect(connections).toEqual([])
    stream?.start()
    await microtasks()
    stream?.stop()
    url.value = '/c'
    await microtasks()
    expect(connections).toHaveLength(1)
  })

  it.each([
    ['/b', ''],
    ['/a', '7'],
  ])('that is %s at the next start resumes after "%s"', async (next, id) => {
    const url = ref('/a')
    const stream = await started(() => useEventSource(url, { transport }))
    say('a', '7')
    stream.stop()
    url.value = '/c'
    url.value = next
    stream.start()
    expect(stream.lastEventId.value).toBe(id)
    await microtasks()
    expect(newest().request).toMatchObject({ url: here(next), lastEventId: id })
  })

  it('is watched by the stream, and not by the scope that called start', async () => {
    const url = ref('/a')
    const stream = scope.run(() => useEventSource(url, { transport }))
    const child = effectScope(true)
    child.run(() => stream?.start())
    await microtasks()
    child.stop()
    url.value = '/b'
    await microtasks()
    expect(newest().request.url).toBe(here('/b'))
  })

  it('that changes after the stream has finished opens the new one', async () => {
    const url = ref('/a')
    await started(() => useEventSource(url, { transport }))
    say('', '', 'close')
    url.value = '/b'
    await microtasks()
    expect(newest().request.url).toBe(here('/b'))
  })

  it('may be a URL object', async () => {
    await started(() => useEventSource(new URL('https://example.com/sse?a=1'), { transport }))
    expect(newest().request.url).toBe('https://example.com/sse?a=1')
  })
})

describe('an invalid URL', () => {
  it.each(['http://[', 'ftp://example.com/sse', 'data:text/event-stream,data:a'])('%s fails for good', async (url) => {
    const stream = await started(() => useEventSource(url, { transport }))
    expect([stream.status.value, stream.reason.value]).toEqual(['failed', 'invalid-url'])
    expect(connections).toEqual([])
  })
})

describe('the end of the scope', () => {
  it.each(['connecting', 'open', 'reconnecting'] as const)('ends a stream that is %s', async (status) => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    if (status === 'open') newest().sink.open()
    if (status === 'reconnecting') refused()
    expect(stream.status.value).toBe(status)
    say('a')
    scope.stop()
    expect(live()).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
    expect(stream.status.value).toBe('closed')
  })

  it('cannot be undone by start', async () => {
    const stream = await started(() => useEventSource('/sse', { transport }))
    scope.stop()
    stream.start()
    await microtasks()
    expect(connections).toHaveLength(1)
  })
})

describe('a request that must not be repeated', () => {
  const once: Transport = Object.assign((...args: Parameters<Transport>) => transport(...args), { once: true })

  it('is not, unless decide says so', async () => {
    const stream = await started(() => useEventSource('/sse', { transport: once }))
    newest().sink.fail({ kind: 'network', message: 'Lost.' })
    expect(stream.status.value).toBe('failed')
    const told = await started(() => useEventSource('/sse', { transport: once, retry: { decide: () => true } }))
    newest().sink.fail({ kind: 'network', message: 'Lost.' })
    expect(told.status.value).toBe('reconnecting')
  })

  it('is not, though nothing arrives for idleTimeout', async () => {
    const stream = await started(() => useEventSource('/sse', { transport: once, idleTimeout: 5_000 }))
    await vi.advanceTimersByTimeAsync(60_000)
    expect([stream.status.value, stream.reason.value, connections.length]).toEqual(['failed', 'timeout', 1])
  })

  it('is, if it was never sent', async () => {
    const stream = await started(() => useEventSource('/sse', { transport: once }))
    newest().sink.fail({ kind: 'request', message: 'No token.' })
    expect(stream.status.value).toBe('reconnecting')
  })
})

describe('a transport that cannot start', () => {
  it('changes nothing if it throws after it has reported the end', async () => {
    const rude: Transport = (_request, sink) => {
      sink.message({ event: 'close', data: '', id: '' })
      throw new Error('late')
    }
    const stream = await started(() => useEventSource('/sse', { transport: rude }))
    expect([stream.status.value, stream.reason.value, stream.error.value]).toEqual(['closed', 'finished', null])
  })

  it('fails with its error as the cause', async () => {
    const broken: Transport = () => {
      throw new TypeError('broken')
    }
    const stream = await started(() => useEventSource('/sse', { transport: broken }))
    expect(stream.error.value).toMatchObject({ kind: 'unsupported', cause: { message: 'broken' } })
  })

  it('is native if there is no EventSource', async () => {
    vi.stubGlobal('EventSource', undefined)
    const stream = await started(() => useEventSource('/sse'))
    expect(stream.reason.value).toBe('unsupported')
    vi.unstubAllGlobals()
  })
})
