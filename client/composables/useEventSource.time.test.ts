/** Silence, sleep, and networks that come and go. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { ScriptedTransport } from './scriptedTransport'
import { useEventSource, type EventSourceOptions, type UseEventSourceReturn } from './useEventSource'

type Options = Omit<EventSourceOptions<Record<never, never>, never, 'close'>, 'decode' | 'doneOn' | 'transport'>

let script: ScriptedTransport
let scope: EffectScope

async function opened(
  options: Options,
): Promise<Pick<UseEventSourceReturn<string, object, object>, 'status' | 'reason' | 'retryAt' | 'start'>> {
  const stream = scope.run(() => useEventSource('/sse', { ...options, transport: script.transport }))
  if (!stream) throw new Error('The scope is over.')
  stream.start()
  await Promise.resolve()
  script.newest.sink.open()
  return stream
}

/** The machine sleeps: the clock goes on, and no timer fires. */
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

  it('is listened to for pings, which reach nobody else', async () => {
    await opened({ idleTimeout: 5_000 })
    expect(script.newest.names).toContain('ping')
  })

  it('is dead too if it is never answered', async () => {
    const stream = scope.run(() => useEventSource('/sse', { idleTimeout: 5_000, transport: script.transport }))
    stream?.start()
    await vi.advanceTimersByTimeAsync(5_000)
    expect([stream?.status.value, stream?.reason.value]).toEqual(['reconnecting', 'timeout'])
  })

  it('may be silent for ever by default', async () => {
    const stream = await opened({})
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(stream.status.value).toBe('open')
  })

  it('is not judged while the browser reconnects it', async () => {
    const stream = await opened({ idleTimeout: 5_000 })
    script.newest.sink.retrying()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([stream.status.value, stream.reason.value]).toEqual(['reconnecting', 'network'])
    expect(script.connections).toHaveLength(1)
  })
})

describe('waking from sleep', () => {
  it.each(['pageshow', 'focus', 'visibilitychange', 'resume'])(
    'notices a dead connection at once, by %s',
    async (type) => {
      const stream = await opened({ idleTimeout: 60_000 })
      sleep(3_600_000)
      dispatchEvent(new Event(type))
      expect(stream.reason.value).toBe('timeout')
    },
  )

  it('notices it within a second where nothing tells', async () => {
    const stream = await opened({ idleTimeout: 60_000 })
    sleep(3_600_000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(stream.reason.value).toBe('timeout')
  })

  it('makes the attempt that is overdue', async () => {
    const stream = await opened({ retry: { base: 30_000 } })
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
    await opened({ retry: { base: 30_000 } })
    script.refuse()
    sleep(-86_400_000)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(script.connections).toHaveLength(2)
  })

  it('leaves a connection that lives alone', async () => {
    const stream = await opened({ idleTimeout: 60_000 })
    sleep(30_000)
    dispatchEvent(new Event('pageshow'))
    expect(stream.status.value).toBe('open')
    expect(script.connections).toHaveLength(1)
  })
})

describe('the network', () => {
  it('that is back ends the wait', async () => {
    await opened({ retry: { base: 30_000 } })
    script.refuse()
    dispatchEvent(new Event('online'))
    await Promise.resolve()
    expect(script.connections).toHaveLength(2)
  })

  it('that is back ends the wait of the browser too', async () => {
    const stream = await opened({})
    script.newest.sink.retrying()
    dispatchEvent(new Event('online'))
    await Promise.resolve()
    expect(script.connections.map(({ closed }) => closed)).toEqual([true, false])
    expect(stream.status.value).toBe('reconnecting')
  })

  it('that is said to be gone closes nothing, and only lengthens the wait', async () => {
    const stream = await opened({})
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    dispatchEvent(new Event('offline'))
    expect(stream.status.value).toBe('open')
    script.refuse()
    expect(stream.retryAt.value).toBe(Date.now() + 30_000)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(script.connections).toHaveLength(2)
  })

  it('that is back opens nothing that was not wanted, nor twice what is being opened', async () => {
    const stream = await opened({ retry: false })
    dispatchEvent(new Event('online'))
    script.refuse()
    dispatchEvent(new Event('online'))
    await vi.advanceTimersByTimeAsync(60_000)
    expect(stream.status.value).toBe('failed')
    expect(script.connections).toHaveLength(1)
  })
})

it('the end of the scope removes every listener of the page', async () => {
  const added = vi.spyOn(globalThis, 'addEventListener')
  const removed = vi.spyOn(globalThis, 'removeEventListener')
  await opened({})
  scope.stop()
  expect(added.mock.calls.length).toBeGreaterThan(0)
  expect(removed.mock.calls).toEqual(added.mock.calls)
})
