/** Callbacks, watchers and getters of the page may do anything at any time: its last request wins. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, isRef, nextTick, ref, watch, watchEffect, type EffectScope } from 'vue'
import { ScriptedTransport } from './scriptedTransport'
import { useEventSource, type Transport } from './useEventSource'

let script: ScriptedTransport
let transport: Transport
let scope: EffectScope

const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(60_000)
const urls = (): string[] => script.live.map(({ request }) => new URL(request.url).pathname)

/** `useEventSource` in a scope of its own, started and open. The callbacks of its options may use `stream` by then. */
async function opened<T extends { start: () => void }>(create: () => T): Promise<T> {
  const stream = scope.run(create)
  if (!stream) throw new Error('The scope is over.')
  stream.start()
  await Promise.resolve()
  script.newest.sink.open()
  return stream
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('reportError', vi.fn())
  vi.spyOn(Math, 'random').mockReturnValue(1)
  script = new ScriptedTransport()
  transport = script.transport
  scope = effectScope()
})

afterEach(() => {
  scope.stop()
  expect(script.live).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('stop, called while an event is processed, loses nothing of it', () => {
  it.each(['decode', 'reduce', 'doneOn', 'on'] as const)('by %s', async (where) => {
    const stopIn = (place: typeof where): void => {
      if (place === where) stream.stop()
    }
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        decode: {
          message: (raw: string) => {
            stopIn('decode')
            return raw
          },
        },
        doneOn: () => {
          stopIn('doneOn')
          return false
        },
        initial: '',
        reduce: (text, { data }) => {
          stopIn('reduce')
          return text + data
        },
      }),
    )
    const heard: string[] = []
    stream.on('message', ({ data }) => {
      stopIn('on')
      heard.push(data)
    })
    script.say('a', '1')
    expect([stream.status.value, stream.reason.value]).toEqual(['closed', 'stopped'])
    expect([stream.content.value, stream.last.value?.data, stream.lastEventId.value, heard]).toEqual([
      'a',
      'a',
      '1',
      ['a'],
    ])
  })

  it('by a predicate that also returns done counts as stopped', async () => {
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        doneOn: () => {
          stream.stop()
          return true
        },
      }),
    )
    script.say('a', '1')
    expect([stream.reason.value, stream.lastEventId.value]).toEqual(['stopped', '1'])
  })
})

it('clear, called by reduce, leaves what reduce returns', async () => {
  const stream = await opened(() =>
    useEventSource('/sse', {
      transport,
      initial: '',
      reduce: (text, { data }) => {
        if (data === 'b') stream.clear()
        return data === 'b' ? data : text + data
      },
    }),
  )
  script.say('a')
  script.say('b')
  vi.advanceTimersByTime(250)
  expect([stream.content.value, stream.last.value?.data]).toEqual(['b', 'b'])
})

describe('an effect that calls start', () => {
  it('does not run again for what start changes: the stream does not reopen after it was done', async () => {
    const enabled = ref(true)
    const stream = scope.run(() => useEventSource('/sse', { transport }))
    scope.run(() =>
      watchEffect(() => {
        if (enabled.value) stream?.start()
        else stream?.stop()
      }),
    )
    await Promise.resolve()
    script.newest.sink.open()
    await nextTick()
    script.say('', '', 'close')
    await nextTick()
    await settle()
    expect([stream?.status.value, script.connections.length]).toEqual(['closed', 1])
  })

  it('keeps the wait before the next attempt, and a failure', async () => {
    const stream = scope.run(() => useEventSource('/sse', { transport, retry: { maxAttempts: 1 } }))
    scope.run(() => watchEffect(() => stream?.start()))
    await Promise.resolve()
    script.refuse()
    await nextTick()
    expect([script.connections.length, stream?.retryAt.value]).toEqual([1, Date.now() + 1_000])
    await vi.advanceTimersByTimeAsync(1_000)
    script.refuse()
    await nextTick()
    await settle()
    expect([stream?.status.value, script.connections.length]).toEqual(['failed', 2])
  })
})

describe('decide', () => {
  it.each([true, false, 500])('that calls stop has stopped the stream, whatever it answers: %s', async (answer) => {
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        retry: {
          decide: () => {
            stream.stop()
            return answer
          },
        },
      }),
    )
    script.refuse()
    await settle()
    expect([stream.status.value, stream.reason.value, urls()]).toEqual(['closed', 'stopped', []])
    stream.start()
    await Promise.resolve()
    script.newest.sink.retrying()
    await settle()
    expect([stream.status.value, urls()]).toEqual(['closed', []])
  })

  it.each([true, false])('that changes the URL has begun a new stream, whatever it answers: %s', async (answer) => {
    const url = ref('/old')
    const stream = await opened(() =>
      useEventSource(url, {
        transport,
        retry: {
          decide: () => {
            url.value = '/new'
            return answer
          },
        },
      }),
    )
    script.refuse()
    await vi.advanceTimersByTimeAsync(100)
    expect([stream.status.value, urls()]).toEqual(['connecting', ['/new']])
  })
})

describe('a sync watcher', () => {
  it('of the content that calls stop sees all of the event before `closed`', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    const seen: unknown[] = []
    scope.run(() => {
      watch(stream.content, stream.stop, { flush: 'sync' })
      watch(
        stream.status,
        (status) => seen.push([status, stream.content.value, stream.last.value?.data, stream.lastEventId.value]),
        { flush: 'sync' },
      )
    })
    script.say('a', '1')
    vi.advanceTimersByTime(250)
    expect(seen).toEqual([['closed', 'a', 'a', '1']])
  })

  it.each(['lost', 'left to the browser', 'replaced'])(
    'of the content that stops while the connection is %s has stopped',
    async (how) => {
      const url = ref('/a')
      const stream = await opened(() => useEventSource(url, { transport }))
      scope.run(() => watch(stream.content, stream.stop, { flush: 'sync' }))
      script.say('enough')
      if (how === 'lost') script.refuse()
      else if (how === 'replaced') url.value = '/b'
      else script.newest.sink.retrying()
      await settle()
      expect([stream.status.value, urls()]).toEqual(['closed', []])
    },
  )

  it('of the content that changes the URL when the connection is lost has begun a new stream', async () => {
    const url = ref('/a')
    const stream = await opened(() => useEventSource(url, { transport }))
    scope.run(() => watch(stream.content, () => (url.value = '/b'), { flush: 'sync' }))
    script.say('enough')
    script.refuse()
    await Promise.resolve()
    expect([stream.status.value, urls()]).toEqual(['connecting', ['/b']])
  })

  it('of retryAt that calls stop just before the attempt has stopped the stream', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    script.refuse()
    scope.run(() => watch(stream.retryAt, stream.stop, { flush: 'sync' }))
    await settle()
    expect([stream.status.value, urls()]).toEqual(['closed', []])
  })

  it.each(['frame', 'sync'] as const)(
    'of `last` that changes the URL on the done event gets it, flush %s',
    async (flush) => {
      const url = ref('/a')
      const stream = await opened(() => useEventSource(url, { transport, flush }))
      scope.run(() =>
        watch(
          stream.last,
          (event) => {
            if (event?.event === 'close') url.value = '/b'
          },
          { flush: 'sync' },
        ),
      )
      script.say('', '', 'close')
      await Promise.resolve()
      expect([stream.status.value, urls()]).toEqual(['connecting', ['/b']])
    },
  )
})

describe('handlers', () => {
  it('are not called after another one has removed them, by ending their component or the stream', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    const child = effectScope(true)
    const heard: string[] = []
    stream.on('message', () => child.stop())
    child.run(() => stream.on('message', () => heard.push('after unmount')))
    stream.on('message', () => scope.stop())
    stream.on('message', () => heard.push('after the end'))
    script.say('a')
    expect(heard).toEqual([])
  })

  it.each([
    ['promises', (cause: Error) => Promise.reject(cause)],
    ['thenables', (cause: Error) => ({ then: (_: unknown, reject: (cause: Error) => void) => reject(cause) })],
  ])('that return %s may reject: it goes to error, and is reported', async (_kind, reject) => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    const cause = new Error('mine')
    stream.on('message', () => reject(cause))
    script.say('a')
    await vi.advanceTimersByTimeAsync(250)
    expect(stream.error.value).toMatchObject({ kind: 'handler', cause })
    expect(reportError).toHaveBeenCalledExactlyOnceWith(cause)
  })

  it('that throw are reported even when a connection has opened since', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    stream.on('message', () => {
      throw new Error('mine')
    })
    script.say('a')
    script.newest.sink.open()
    expect(stream.error.value).toBeNull()
    expect(reportError).toHaveBeenCalledOnce()
  })
})

describe('a sync watcher that throws', () => {
  // Vue's production build writes it to the console instead.
  const bad = (): never => {
    throw new Error('mine')
  }

  it('cannot keep the stream from starting', async () => {
    const stream = scope.run(() => useEventSource('/sse', { transport }))
    if (!stream) throw new Error('The scope is over.')
    scope.run(() => watch(stream.status, bad, { flush: 'sync' }))
    stream.start()
    await Promise.resolve()
    expect([stream.status.value, urls()]).toEqual(['connecting', ['/sse']])
  })

  it.each(['frame', 'sync'] as const)('cannot keep an event from its handlers, flush %s', async (flush) => {
    const stream = await opened(() => useEventSource('/sse', { transport, flush }))
    const heard: string[] = []
    const statuses: string[] = []
    scope.run(() => {
      watch(stream.content, bad, { flush: 'sync' })
      watch(stream.status, (status) => statuses.push(status), { flush: 'sync' })
    })
    for (const name of ['message', 'close']) stream.on(name, ({ event }) => heard.push(event))
    script.say('a')
    script.say('bye', '', 'close')
    expect(heard).toEqual(['message', 'close'])
    expect(statuses).toEqual(['closed'])
  })
})

describe('a thrown value that cannot be shown as text', () => {
  it.each([
    [
      'thrown',
      (): never => {
        throw Object.create(null)
      },
    ],
    [
      'a thenable that throws',
      () => ({
        then: () => {
          throw new Error('then')
        },
      }),
    ],
  ])('keeps no event from the other handlers: %s', async (_what, handler) => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    const heard: string[] = []
    stream.on('message', handler)
    stream.on('message', ({ data }) => heard.push(data))
    script.say('a')
    expect(heard).toEqual(['a'])
    expect(reportError).toHaveBeenCalledOnce()
  })

  it('an initial that throws at a start is reported, and the stream starts', async () => {
    let throws = false
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        keepContent: false,
        initial: (): string[] => {
          if (throws) throw new Error('mine')
          return []
        },
        reduce: (all, { data }) => [...all, data],
      }),
    )
    stream.stop()
    throws = true
    stream.start()
    await Promise.resolve()
    expect([stream.status.value, urls()]).toEqual(['connecting', ['/sse']])
  })
})

describe('a callback that stops while an event is processed', () => {
  it.each(['decode', 'reduce', 'doneOn'] as const)('by %s: nobody sees `closed` before the content', async (where) => {
    const stop = (): void => stream.stop()
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        decode: { message: (raw) => (where === 'decode' && stop(), raw) },
        doneOn: () => (where === 'doneOn' && stop(), false),
        initial: '',
        reduce: (text, { data }) => (where === 'reduce' && stop(), text + data),
      }),
    )
    const seen: unknown[] = []
    scope.run(() => watch(stream.status, (status) => seen.push([status, stream.content.value]), { flush: 'sync' }))
    script.say('a')
    expect(seen).toEqual([['closed', 'a']])
  })
})

describe('errors of a thousand events in one task', () => {
  it('reach the page once a frame, and wake only those who read them', async () => {
    const bad = (): never => {
      throw new Error('bad')
    }
    const stream = await opened(() => useEventSource('/sse', { transport, decode: { message: bad } }))
    let errors = 0
    let statuses = 0
    scope.run(() => {
      watch(stream.error, () => errors++, { flush: 'sync' })
      watchEffect(() => [stream.status.value, statuses++], { flush: 'sync' })
    })
    for (let n = 0; n < 1_000; n++) script.say(String(n))
    vi.advanceTimersByTime(250)
    expect([errors, statuses]).toEqual([1, 1])
    expect(stream.error.value?.event?.data).toBe('999')
  })
})

describe('a page that restarts whenever the stream has failed', () => {
  it('keeps its timers and events, even if every attempt fails at once', async () => {
    const stream = scope.run(() => useEventSource('http://[', { transport }))
    if (!stream) throw new Error('The scope is over.')
    let failures = 0
    scope.run(() =>
      watch(
        stream.status,
        (status) => {
          if (status === 'failed' && ++failures < 1_000) stream.start()
        },
        { flush: 'sync' },
      ),
    )
    stream.start()
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)
    await vi.advanceTimersByTimeAsync(20)
    clearInterval(timer)
    expect(ticks).toBe(20)
    expect(failures).toBeLessThan(1_000)
    stream.stop()
  })
})

describe('a URL getter', () => {
  it('that throws at start has failed, with the cause', async () => {
    const cause = new Error('no token')
    const stream = scope.run(() =>
      useEventSource(
        () => {
          throw cause
        },
        { transport },
      ),
    )
    stream?.start()
    await Promise.resolve()
    expect(stream?.status.value).toBe('failed')
    expect(stream?.error.value).toMatchObject({ kind: 'invalid-url', cause })
  })

  it('that starts to throw while open closes the connection, and opens the next one when it stops throwing', async () => {
    const user = ref<{ name: string } | null>({ name: 'a' })
    const stream = await opened(() => useEventSource(() => `/${(user.value as { name: string }).name}`, { transport }))
    user.value = null
    await Promise.resolve()
    expect([stream.status.value, urls()]).toEqual(['failed', []])
    user.value = { name: 'b' }
    await vi.advanceTimersByTimeAsync(0)
    expect([stream.status.value, urls()]).toEqual(['connecting', ['/b']])
  })

  it('that is not reactive is called again for every connection, and may return none', async () => {
    let token: string | null = null
    const stream = scope.run(() => useEventSource(() => token, { transport }))
    token = '/one'
    stream?.start()
    await Promise.resolve()
    expect([stream?.status.value, urls()]).toEqual(['connecting', ['/one']])
    token = '/two'
    script.refuse()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(urls()).toEqual(['/two'])
    token = null
    script.refuse()
    await settle()
    expect([stream?.status.value, urls()]).toEqual(['idle', []])
  })
})

describe('a transport that throws', () => {
  const rude: Transport = (request, sink) => ({
    ...transport(request, sink),
    close: () => {
      script.newest.closed = true
      throw new Error('close')
    },
  })

  it('on close can neither keep the stream from ending nor the next one from starting', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport: rude }))
    script.say('a')
    stream.stop()
    expect([stream.status.value, stream.content.value]).toEqual(['closed', 'a'])
    stream.start()
    await Promise.resolve()
    script.say('b')
    script.say('', '', 'close')
    expect([stream.status.value, stream.reason.value, stream.content.value]).toEqual(['closed', 'finished', 'ab'])
  })
})

describe('a returned ref', () => {
  it('ignores writes without an error, as Pinia writes to the refs of a store', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    for (const ref of Object.values(stream) as { value?: unknown }[]) if (isRef(ref)) ref.value = {}
    script.say('a', '1')
    vi.advanceTimersByTime(250)
    expect([stream.status.value, stream.error.value, stream.content.value]).toEqual(['open', null, 'a'])
    expect(stream.last.value).toEqual({ event: 'message', data: 'a', id: '1' })
  })

  it('keeps content that is a Map, whatever a store writes to it', async () => {
    const stream = await opened(() =>
      useEventSource('/sse', {
        transport,
        initial: () => new Map<string, string>(),
        reduce: (all, { data, id }) => all.set(id, data),
      }),
    )
    const { content } = stream as unknown as { content: { value: object } }
    content.value = {}
    script.say('a', '1')
    vi.advanceTimersByTime(250)
    expect([...stream.content.value]).toEqual([['1', 'a']])
  })

  it('is still correct after the end of its scope', async () => {
    const stream = await opened(() => useEventSource('/sse', { transport }))
    expect(stream.status.value).toBe('open')
    scope.stop()
    expect([stream.status.value, stream.reason.value]).toEqual(['closed', 'stopped'])
  })
})
