// @vitest-environment node
/** The fetch transport against a real server, without the composable: what it reports, and that nothing stays open. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import { fetchTransport, type FetchTransportOptions } from './fetchTransport'
import type { TransportConnection, TransportRequest, TransportSink } from './useEventSource'

let server: Server
let url: string
let listener: RequestListener
let requests: IncomingMessage[]
let sink: { [Name in keyof TransportSink]: Mock<TransportSink[Name]> }

beforeEach(async () => {
  requests = []
  server = createServer((req, res) => {
    requests.push(req)
    listener(req, res)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`
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

afterEach(async () => {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
})

const connect = (options: FetchTransportOptions = {}, request: Partial<TransportRequest> = {}): TransportConnection =>
  fetchTransport(options)(
    { url, lastEventId: '', lastEventIdParam: false, withCredentials: false, wasOpen: false, ...request },
    sink,
  )

/** Answers with a stream of this text, which ends or stays open. */
const streams =
  (text: string, then: 'end' | 'stay'): RequestListener =>
  (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(text)
    if (then === 'end') res.end()
  }

describe('close', () => {
  const deaf: FetchTransportOptions['fetch'] = (input, init) => fetch(input, { ...init, signal: null })
  const slow: FetchTransportOptions['fetch'] = async (input, init) => {
    const response = await fetch(input, { ...init, signal: null })
    await new Promise((resolve) => setTimeout(resolve, 50))
    return response
  }

  it.each([
    ['fetch', undefined],
    ['a fetch that ignores the signal', deaf],
    ['a fetch that ignores the signal, and answers after close', slow],
  ])('leaves nothing open with %s', async (name, fetch) => {
    let closed = false
    listener = (req, res) => {
      streams('data: a\n\n', 'stay')(req, res)
      res.on('close', () => (closed = true))
    }
    const connection = connect({ fetch })
    if (fetch === slow) await vi.waitFor(() => expect(requests).toHaveLength(1))
    else await vi.waitFor(() => expect(sink.message).toHaveBeenCalled())
    connection.close()
    await vi.waitFor(() => expect(closed, name).toBe(true))
  })
})

describe('the end of the response', () => {
  it.each([
    ['GET', undefined, 'fail'],
    ['get', undefined, 'fail'],
    ['POST', undefined, 'end'],
    ['PUT', undefined, 'end'],
    ['GET', 'close', 'end'],
    ['POST', 'reconnect', 'fail'],
  ] as const)('of %s with eof %s is the %s', async (method, eof, outcome) => {
    listener = streams('data: a\n\n', 'end')
    connect({ method, eof })
    await vi.waitFor(() => expect(sink[outcome]).toHaveBeenCalledOnce())
    if (outcome === 'end') expect(sink.end).toHaveBeenCalledWith('ended')
    else expect(sink.fail).toHaveBeenCalledWith(expect.objectContaining({ kind: 'network' }))
    expect(sink.message).toHaveBeenCalledExactlyOnceWith({ event: 'message', data: 'a', id: '' })
  })
})

describe('the method', () => {
  it.each([
    [{}, 'GET', false],
    [{ body: 'question' }, 'POST', true],
    [{ method: 'PUT' }, 'PUT', true],
    [{ method: 'get' }, 'GET', false],
  ])('of %j is %s, repeated only when asked: %s', async (options, method, once) => {
    listener = streams('data: a\n\n', 'end')
    expect(fetchTransport(options).once).toBe(once)
    connect(options)
    await vi.waitFor(() => expect(requests).toHaveLength(1))
    expect(requests[0]?.method).toBe(method)
    await vi.waitFor(() => expect(sink.message).toHaveBeenCalled())
  })
})

describe('a request that cannot be prepared', () => {
  it.each(['headers', 'body'] as const)('is the error of the caller, with its cause: %s', async (name) => {
    const cause = new Error('The token has expired.')
    connect({ method: 'POST', [name]: () => Promise.reject(cause) })
    await vi.waitFor(() => expect(sink.fail).toHaveBeenCalled())
    expect(sink.fail.mock.calls).toEqual([[expect.objectContaining({ kind: 'request', cause })]])
    expect(requests).toEqual([])
  })

  it('a stream can be the body', async () => {
    let body = ''
    listener = (req, res) => {
      req.on('data', (chunk) => (body += String(chunk)))
      req.on('end', () => streams('data: a\n\n', 'end')(req, res))
    }
    connect({ method: 'POST', body: () => new Blob(['question']).stream() })
    await vi.waitFor(() => expect(sink.end).toHaveBeenCalled())
    expect(body).toBe('question')
  })

  it('an id of 130,000 characters reaches the request', async () => {
    const made = vi.fn(() => Promise.resolve(new Response(null, { status: 204 })))
    connect({ fetch: made }, { lastEventId: '连'.repeat(130_000) })
    await vi.waitFor(() => expect(sink.end).toHaveBeenCalledWith('no-content'))
    const [, init] = made.mock.calls[0] as unknown as [string, RequestInit]
    expect(new Headers(init.headers).get('Last-Event-ID')).toHaveLength(390_000)
  })
})

describe('ids', () => {
  it('are reported with their event, and alone only without one', async () => {
    const log: string[] = []
    sink.id.mockImplementation((id) => log.push(`id ${id}`))
    sink.message.mockImplementation(({ data, id }) => log.push(`${data} ${id}`))
    listener = streams('id: 1\ndata: a\n\nid: 2\n\nid: 3\n\nid: 4\ndata: b\n\nid: 5\n\n', 'end')
    connect()
    await vi.waitFor(() => expect(sink.fail).toHaveBeenCalled())
    expect(log).toEqual(['a 1', 'id 2', 'id 3', 'b 4', 'id 5'])
  })
})

describe('the type of the response', () => {
  it.each([
    ['text/event-stream', true],
    ['TEXT/Event-Stream ; charset=utf-8', true],
    ['text/event-stream, text/event-stream', true],
    ['text/event-streams', false],
    ['text/html', false],
    ['', false],
  ])('"%s" is a stream: %s', async (type, isStream) => {
    listener = (_req, res) => {
      if (type) res.setHeader('Content-Type', type)
      res.end('data: a\n\n')
    }
    connect()
    await vi.waitFor(() => expect(sink.fail).toHaveBeenCalled())
    expect(sink.open).toHaveBeenCalledTimes(isStream ? 1 : 0)
    if (!isStream) expect(sink.fail.mock.calls[0]?.[0]).toMatchObject({ kind: 'content-type', body: 'data: a\n\n' })
  })
})

it('an endless line does not fill the memory', { timeout: 30_000 }, async () => {
  let sent = 0
  listener = (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: ')
    const part = Buffer.alloc(2 ** 20, 'x')
    const send = (): void => {
      // Twice the limit, so that a client without one would fail.
      while (sent++ < 128) if (!res.write(part)) return void res.once('drain', send)
    }
    send()
  }
  connect()
  await vi.waitFor(() => expect(sink.fail).toHaveBeenCalled(), { timeout: 25_000 })
  expect(sink.message).not.toHaveBeenCalled()
  expect(sent).toBeLessThan(100)
})
