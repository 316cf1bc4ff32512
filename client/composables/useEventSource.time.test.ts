/** Silence, sleep, and networks that come and go. */
import { afterEach, beforeEach, describe, expect, it, vi, type MockInstance } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { ScriptedTransport } from './scriptedTransport'
import { useEventSource, type EventSourceOptions, type UseEventSourceReturn } from './useEventSource'

type Options = Omit<EventSourceOptions<Record<never, never>>, 'decode' | 'doneOn' | 'transport'>

let script: ScriptedTransport
let scope: EffectScope

async function opened(
  options: Options,
): Promise<Pick<UseEventSourceReturn<string, object, object>, 'status' | 'reason' | 'retryAt' | 'start' | 'stop'>> {
  const stream = scope.run(() => useEventSource('/sse', { ...options, transport: script.transport }))
  if (!stream) throw new Error('The scope is over.')
  stream.start()
  await Promise.resolve()
  script.newest.sink.open()
  return stream
}

/** The machine sleeps: the clock advances, but no timer fires. */
const sleep = (ms: number): unknown => vi.setSystemTime(Date.now() + ms)

beforeEach(() => {
  vi.useFakeTimers()
  vi.spyOn(Math, 'random').mockReturnValue(1)
  script = new ScriptedTransport()
  scope = effectScope()
})

afterEach(() => {
  scope.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a connection that falls silent', () => {
  it('is dead after idleTimeout, and is replaced', async () => {
    const stream = await opened({ idleTimeout: 5_000 })
    script.say('a', '7')
    await vi.advanceTimersByTimeAsync(4_999)
    expect(stream.status.value).toBe('open')
    await vi.advanceTimersByTimeAsync(1)
    expect([stream.status.value, stream.reason.value]).toEqual(['reconnecting', 'timeout'])
    expect(script.live).toEqual([])
    await vi.advanceTimersByTimeAsync(1_000)
    expect(script.newest.request.lastEventId).toBe('7')
  })

  it.each([
    ['an event', () => script.say('a')],
    ['an event of a name that nobody asked for', () => script.say('', '', 'ping')],
    ['a comment', () => script.newest.sink.activity()],
  ])('is alive with %s', async (_name, sign) => {
    const stream = await opened({ idleTimeout: 5_000 })
    for (let n = 0; n < 5; n++) {
      await vi.advanceTimersByTimeAsync(4_000)
      sign()
    }
    expect(stream.status.value).toBe('open')
  })

  it('is kept alive by pings, which reach no handlers', async () => {
    await opened({ idleTimeout: 5_000 })
    expect(script.newest.names).toContain('ping')
  })

  it('is dead too if it is never answered', async () => {
    const stream = scope.run(() => useEventSource('/sse', { idleTimeout: 5_000, transport: script.transport }))
    stream?.start()
    await vi.advanceTimersByTimeAsync(5_000)
    expect([stream?.status.value, stream?.reason.value]).toEqual(['reconnecting', 'timeout'])
  })

  it('may be silent forever by default', async () => {
    const stream = await opened({})
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(stream.status.value).toBe('open')
  })

  it('does not time out while the browser reconnects it, each time after its own delay', async () => {
    const stream = await opened({ idleTimeout: 5_000 })
    for (let attempt = 0; attempt < 20; attempt++) {
      script.newest.sink.retrying()
      await vi.advanceTimersByTimeAsync(30_000)
    }
    expect([stream.status.value, stream.reason.value]).toEqual(['reconnecting', 'network'])
    expect(script.connections).toHaveLength(1)
  })

  it("is replaced when the browser's own attempt hangs", async () => {
    const stream = await opened({ idleTimeout: 5_000, retry: { maxDelay: 30_000 } })
    script.newest.sink.retrying()
    await vi.advanceTimersByTimeAsync(35_000)
    expect([stream.status.value, stream.reason.value]).toEqual(['reconnecting', 'timeout'])
    await vi.advanceTimersByTimeAsync(2_000)
    expect(script.live).toHaveLength(1)
    expect(script.connections).toHaveLength(2)
  })

  it('is not dead because the clock was set back', async () => {
    const stream = await opened({ idleTimeout: 45_000 })
    for (let beat = 0; beat < 10; beat++) {
      script.newest.sink.activity()
      await vi.advanceTimersByTimeAsync(500)
      sleep(-2_000)
      await vi.advanceTimersByTimeAsync(15_000)
    }
    expect([stream.status.value, script.connections.length]).toEqual(['open', 1])
    stream.stop()
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('waking from sleep', () => {
  it.each(['pageshow', 'visibilitychange', 'resume'])(
    'notices a dead connection once it had a second to speak, by %s',
    async (type) => {
      const stream = await opened({ idleTimeout: 60_000 })
      sleep(3_600_000)
      dispatchEvent(new Event(type))
      expect(stream.status.value).toBe('open')
      await vi.advanceTimersByTimeAsync(1_000)
      expect(stream.reason.value).toBe('timeout')
    },
  )

  it('is noticed without any event', async () => {
    const stream = await opened({ idleTimeout: 60_000 })
    sleep(3_600_000)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(stream.reason.value).toBe('timeout')
  })

  it('is noticed even if every timer is late, as in a page that was hidden for minutes', async () => {
    const stream = await opened({ idleTimeout: 30_000 })
    for (let minute = 0; minute < 3; minute++) {
      sleep(60_000)
      dispatchEvent(new Event('visibilitychange'))
    }
    expect(stream.reason.value).toBe('timeout')
  })

  it('keeps a connection that survived: events that the browser held back come first', async () => {
    const stream = await opened({ idleTimeout: 1_000 })
    for (let visit = 0; visit < 3; visit++) {
      sleep(3_000)
      dispatchEvent(new Event('pageshow'))
      await vi.advanceTimersByTimeAsync(500)
      script.say('buffered')
      await vi.advanceTimersByTimeAsync(900)
    }
    expect(stream.status.value).toBe('open')
    expect(script.connections).toHaveLength(1)
  })

  it('after a night makes the due attempt, and the next ones too', async () => {
    const stream = await opened({})
    script.refuse()
    for (let hour = 0; hour < 8; hour++) sleep(3_600_000)
    dispatchEvent(new Event('pageshow'))
    await Promise.resolve()
    expect(script.connections).toHaveLength(2)
    script.newest.sink.open()
    expect(stream.status.value).toBe('open')
  })

  it('makes the overdue attempt', async () => {
    const stream = await opened({ retry: { initialDelay: 30_000 } })
    script.refuse()
    sleep(20_000)
    dispatchEvent(new Event('visibilitychange'))
    expect(stream.retryAt.value).not.toBeNull()
    sleep(20_000)
    dispatchEvent(new Event('visibilitychange'))
    await Promise.resolve()
    expect(script.connections).toHaveLength(2)
  })

  it('does not wait for a clock that was set back', async () => {
    await opened({ retry: { initialDelay: 30_000 } })
    script.refuse()
    sleep(-86_400_000)
    await vi.advanceTimersByTimeAsync(31_000)
    expect(script.connections).toHaveLength(2)
  })

  it('leaves a live connection alone', async () => {
    const stream = await opened({ idleTimeout: 60_000 })
    sleep(30_000)
    dispatchEvent(new Event('pageshow'))
    expect(stream.status.value).toBe('open')
    expect(script.connections).toHaveLength(1)
  })
})

describe('the network', () => {
  it('coming back ends the wait', async () => {
    await opened({ retry: { initialDelay: 30_000 } })
    script.refuse()
    dispatchEvent(new Event('online'))
    await Promise.resolve()
    expect(script.connections).toHaveLength(2)
  })

  it('coming back ends the browser’s wait too', async () => {
    const stream = await opened({})
    script.newest.sink.retrying()
    dispatchEvent(new Event('online'))
    await Promise.resolve()
    expect(script.connections.map(({ closed }) => closed)).toEqual([true, false])
    expect(stream.status.value).toBe('reconnecting')
  })

  it('reported as offline closes nothing, and only lengthens the wait', async () => {
    const stream = await opened({})
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    dispatchEvent(new Event('offline'))
    expect(stream.status.value).toBe('open')
    script.refuse()
    expect(stream.retryAt.value).toBe(Date.now() + 30_000)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(script.connections).toHaveLength(2)
  })

  it('while offline uses up no attempts', async () => {
    const stream = await opened({ retry: { maxAttempts: 2 } })
    const onLine = vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    for (let minute = 0; minute < 10; minute++) {
      script.refuse()
      await vi.advanceTimersByTimeAsync(30_000)
    }
    expect([stream.status.value, script.connections.length]).toEqual(['reconnecting', 11])
    onLine.mockReturnValue(true)
    for (let attempt = 0; attempt < 2; attempt++) {
      script.refuse()
      await vi.advanceTimersByTimeAsync(30_000)
    }
    expect(stream.status.value).toBe('reconnecting')
    script.refuse()
    expect(stream.status.value).toBe('failed')
  })

  it('coming back opens neither an unwanted stream, nor a second connection', async () => {
    const stream = await opened({ retry: false })
    dispatchEvent(new Event('online'))
    script.refuse()
    dispatchEvent(new Event('online'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(stream.status.value).toBe('failed')
    expect(script.connections).toHaveLength(1)
  })
})

describe('listeners of the page', () => {
  const count = (): number => added.mock.calls.length - removed.mock.calls.length
  let added: MockInstance
  let removed: MockInstance

  beforeEach(() => {
    added = vi.spyOn(globalThis, 'addEventListener')
    removed = vi.spyOn(globalThis, 'removeEventListener')
  })

  it.each(['stop', 'scope', 'done', 'failed'])('are there while a stream is wanted, and gone after %s', async (how) => {
    const stream = await opened({ retry: false })
    expect(added).toHaveBeenCalled()
    if (how === 'stop') stream.stop()
    else if (how === 'scope') scope.stop()
    else if (how === 'done') script.say('', '', 'close')
    else script.refuse()
    const types = new Set(added.mock.calls.map(([type]) => String(type)))
    expect(types.size).toBeGreaterThan(2)
    for (const call of added.mock.calls) expect(removed.mock.calls).toContainEqual(call)
    expect(count()).toBeLessThanOrEqual(0)
  })

  it('receive events of the document that do not bubble', async () => {
    await opened({ retry: { initialDelay: 30_000 } })
    script.refuse()
    sleep(60_000)
    document.dispatchEvent(new Event('resume'))
    await Promise.resolve()
    expect(script.connections).toHaveLength(2)
  })
})
