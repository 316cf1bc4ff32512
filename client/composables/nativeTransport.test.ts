/** The native transport against a scripted EventSource and a scripted `fetch`. */
import { afterEach, beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import { nativeTransport, type TransportConnection, type TransportRequest, type TransportSink } from './useEventSource'

class FakeEventSource extends EventTarget {
  static newest: FakeEventSource
  readonly CLOSED = 2
  readyState = 0
  onopen: ((event: Event) => void) | null = null
  onerror: ((event: Event) => void) | null = null

  constructor(readonly url: string | URL) {
    super()
    FakeEventSource.newest = this
  }

  open(): void {
    this.readyState = 1
    this.onopen?.(new Event('open'))
  }

  /** A polyfill's event, with a class of its own. */
  send(type: string, data: string, lastEventId: string): void {
    this.dispatchEvent(Object.assign(new Event(type), { data, lastEventId }))
  }

  lose(): void {
    this.readyState = 0
    this.onerror?.(new Event('error'))
  }

  giveUp(): void {
    this.readyState = 2
    this.onerror?.(new Event('error'))
  }

  close(): void {
    this.readyState = 2
  }
}

const SAME = new URL('/sse', location.href).href
const OTHER = 'https://other.example/sse'

let sink: { [Name in keyof TransportSink]: Mock<TransportSink[Name]> }
let answer: () => Promise<Response>
let asked: Mock<(url: string, init: RequestInit) => Promise<Response>>

function connect(request: Partial<TransportRequest> = {}): TransportConnection {
  const connection = nativeTransport(
    { url: SAME, lastEventId: '', lastEventIdParam: 'lastEventId', withCredentials: false, wasOpen: false, ...request },
    sink,
  )
  connection.listen('message')
  return connection
}

const source = (): FakeEventSource => FakeEventSource.newest
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0)
const answers = (status: number, headers: HeadersInit = {}): void => {
  answer = () => Promise.resolve(new Response(null, { status, headers }))
}

beforeEach(() => {
  vi.useFakeTimers()
  answers(404)
  asked = vi.fn((_url, { signal }) =>
    Promise.race([
      answer(),
      new Promise<never>((_, reject) =>
        signal?.addEventListener('abort', () => reject(new DOMException('Aborted.', 'AbortError'))),
      ),
    ]),
  )
  vi.stubGlobal('EventSource', FakeEventSource)
  vi.stubGlobal('fetch', asked)
  sink = {
    open: vi.fn(),
    message: vi.fn(),
    retrying: vi.fn(),
    end: vi.fn(),
    fail: vi.fn(),
    activity: vi.fn(),
    retry: vi.fn(),
    id: vi.fn(),
  }
})

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('why the browser gave up', () => {
  it.each([
    [404, {}, { kind: 'http', status: 404 }],
    [401, {}, { kind: 'http', status: 401 }],
    [503, { 'Retry-After': '7' }, { kind: 'http', status: 503, retryAfter: 7_000 }],
    [200, { 'Content-Type': 'text/html' }, { kind: 'content-type', status: 200 }],
    [200, { 'Content-Type': 'text/event-stream;charset=utf-8' }, { kind: 'refused' }],
  ])('is %d %j', async (status, headers: Record<string, string>, failure) => {
    answers(status, headers)
    connect()
    source().giveUp()
    await settle()
    expect(sink.fail).toHaveBeenCalledExactlyOnceWith(expect.objectContaining(failure))
    expect(asked).toHaveBeenCalledOnce()
  })

  it('is 204: the stream is over', async () => {
    answers(204)
    connect()
    source().giveUp()
    await settle()
    expect(sink.end).toHaveBeenCalledExactlyOnceWith('no-content')
    expect(sink.fail).not.toHaveBeenCalled()
  })

  it('stays unknown if the request fails, for example across origins without CORS', async () => {
    answer = () => Promise.reject(new TypeError('Failed to fetch'))
    connect()
    source().giveUp()
    await settle()
    expect(sink.fail).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ kind: 'refused', cause: expect.any(TypeError) as unknown }),
    )
  })

  it('stays unknown after 5 s without a response, for example when six streams are open', async () => {
    answer = () => new Promise(() => undefined)
    connect()
    source().giveUp()
    await vi.advanceTimersByTimeAsync(4_999)
    expect(sink.fail).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(sink.fail).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ kind: 'refused' }))
  })

  it.each([
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['', undefined],
    ['0', 0],
    ['120', 120_000],
  ])('comes with a Retry-After of "%s": %s', async (value, retryAfter) => {
    answers(503, { 'Retry-After': value })
    connect()
    source().giveUp()
    await settle()
    expect(sink.fail.mock.calls[0]?.[0].retryAfter).toBe(retryAfter)
  })

  it('comes with a Retry-After that is a date', async () => {
    vi.setSystemTime('2026-01-01T00:00:00Z')
    answers(503, { 'Retry-After': 'Thu, 01 Jan 2026 00:01:00 GMT' })
    connect()
    source().giveUp()
    await settle()
    expect(sink.fail.mock.calls[0]?.[0].retryAfter).toBe(60_000)
  })

  it('is requested once, without a cache, and dropped after the head', async () => {
    answers(200, { 'Content-Type': 'text/event-stream' })
    connect({ withCredentials: true })
    source().giveUp()
    await settle()
    const [url, init] = asked.mock.calls[0] ?? []
    expect(url).toBe(SAME)
    expect(init).toMatchObject({ cache: 'no-store', credentials: 'include' })
    expect(init?.signal?.aborted).toBe(true)
    expect(new Headers(init?.headers).get('Accept')).toBe('text/event-stream')
  })

  it('is no longer requested after close', async () => {
    answer = () => new Promise(() => undefined)
    const connection = connect()
    source().giveUp()
    connection.close()
    expect(asked.mock.calls[0]?.[1].signal?.aborted).toBe(true)
    await settle()
  })
})

describe('asking why must not cost an event', () => {
  const cases: [string, Partial<TransportRequest>, string, boolean][] = [
    ['never open', {}, '', true],
    ['open, with ids, same origin', { wasOpen: true }, '7', true],
    ['open, with ids, same origin, no parameter', { wasOpen: true, lastEventIdParam: false }, '7', true],
    ['open, without ids', { wasOpen: true }, '', false],
    ['open, with ids, other origin', { url: OTHER, wasOpen: true }, '7', true],
    ['open, with ids, other origin, no parameter', { url: OTHER, wasOpen: true, lastEventIdParam: false }, '7', false],
  ]
  it.each(cases)('%s', async (_name, request, id, isAsked) => {
    connect(request)
    if (request.wasOpen) {
      source().open()
      source().send('message', 'a', id)
      source().lose()
    }
    source().giveUp()
    await settle()
    expect(asked).toHaveBeenCalledTimes(isAsked ? 1 : 0)
    if (!isAsked) {
      expect(sink.fail).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ kind: 'refused' }))
      return
    }
    const [url = '', init] = asked.mock.calls[0] ?? []
    const header = new Headers(init?.headers).get('Last-Event-ID')
    const parameter = new URL(url).searchParams.get('lastEventId')
    // After the last id received, and never in a header to another origin, which would need a preflight.
    if (id !== '') expect([header, parameter]).toContain(id)
    if (request.url === OTHER) expect(header).toBeNull()
  })

  it('a non-ASCII id is sent as its bytes', async () => {
    connect({ wasOpen: true, lastEventId: 'é连' })
    source().giveUp()
    await settle()
    const header = new Headers(asked.mock.calls[0]?.[1].headers).get('Last-Event-ID') ?? ''
    expect(Buffer.from(header, 'latin1').toString()).toBe('é连')
  })

  it('a page never sees an open stream meanwhile', () => {
    connect()
    source().open()
    source().send('message', 'a', '7')
    source().giveUp()
    expect(sink.fail).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ kind: 'refused' }))
    expect(asked).not.toHaveBeenCalled()
  })
})

describe('events', () => {
  it('of any class are received, even those named error and open', () => {
    const connection = connect()
    for (const name of ['error', 'open']) connection.listen(name)
    source().open()
    source().send('message', 'a', '1')
    source().send('error', 'b', '1')
    source().send('open', 'c', '1')
    expect(sink.message.mock.calls.map(([event]) => event)).toEqual([
      { event: 'message', data: 'a', id: '1' },
      { event: 'error', data: 'b', id: '1' },
      { event: 'open', data: 'c', id: '1' },
    ])
    expect(sink.open).toHaveBeenCalledOnce()
    expect(sink.fail).not.toHaveBeenCalled()
  })
})

describe('the URL after which a stream resumes', () => {
  it.each([
    ['/sse', '/sse?lastEventId=7'],
    ['/sse?q=a%20b&flag&sig=A~B', '/sse?q=a%20b&flag&sig=A~B&lastEventId=7'],
    ['/sse?q=a+b&&x=%7E#top', '/sse?q=a+b&&x=%7E&lastEventId=7'],
    ['/sse?lastEventId=3&q=1', '/sse?q=1&lastEventId=7'],
    ['/sse?', '/sse?lastEventId=7'],
  ])('%s becomes %s', (url, expected) => {
    connect({ url: `http://localhost${url}`, lastEventId: '7' })
    expect(String(source().url)).toBe(`http://localhost${expected}`)
  })

  it('carries any id', () => {
    connect({ lastEventId: 'é连 &=#' })
    expect(new URL(source().url).searchParams.get('lastEventId')).toBe('é连 &=#')
  })
})
