import { afterEach, expect, it, vi } from 'vitest'
import { SseEmitter, type SseEmitterError } from './emitter'
import type { SseEmitterOptions } from './emitterOptions'
import { webSink, type WebSink } from './webSink'

afterEach(() => {
  vi.useRealTimers()
})

interface Stream {
  emitter: SseEmitter
  sink: WebSink
  calls: string[]
}

function open(init?: RequestInit, options?: SseEmitterOptions): Stream {
  const sink = webSink(new Request('http://localhost/?lastEventId=7', init))
  const emitter = new SseEmitter(sink, { retry: 1, ...options })
  const calls: string[] = []
  emitter.onError((error) => calls.push(`error ${(error as SseEmitterError).kind}`))
  emitter.onCompletion(() => calls.push('completion'))
  sink.onClose(() => calls.push('closed'))
  return { emitter, sink, calls }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

it('creates a response that streams', async () => {
  const { emitter, sink, calls } = open()
  expect(emitter.lastEventId).toBe('7')
  expect(sink.response.status).toBe(200)
  expect(Object.fromEntries(sink.response.headers)).toEqual({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  })
  emitter.send({ data: 'x' })
  emitter.complete()
  expect(sink.closed).toBe(false)
  expect(await sink.response.text()).toBe('retry: 1\n\ndata: x\n\n')
  expect(sink.closed).toBe(true)
  expect(calls).toEqual(['completion', 'closed'])
})

it('throws if the response is read before there is an emitter', () => {
  expect(() => webSink(new Request('http://localhost')).response).toThrow('make an SseEmitter of this sink first')
})

it('shares the same bytes among many receivers', async () => {
  const streams = [open(), open()]
  const bytes = Buffer.from('data: shared\n\n')
  for (const { emitter } of streams) {
    emitter.write(bytes)
    emitter.complete()
  }
  const texts = await Promise.all(streams.map(({ sink }) => sink.response.text()))
  expect(texts).toEqual(Array(2).fill('retry: 1\n\ndata: shared\n\n'))
  expect(bytes.toString()).toBe('data: shared\n\n')
})

it('waits while more than 16 KiB are unread, until all is read', async () => {
  const { emitter, sink } = open({}, { retry: false })
  const drained = vi.fn()
  emitter.onDrain(drained)
  await settled()
  for (let n = 0; n < 4; n++) {
    expect(emitter.writable).toBe(true)
    emitter.write(Buffer.alloc(4_096))
  }
  expect(emitter.writable).toBe(false)
  expect(sink.unsent).toBe(4 * 4_096)
  const reader = sink.response.body?.getReader()
  for (let n = 0; n < 3; n++) await reader?.read()
  await settled()
  expect(drained).not.toHaveBeenCalled()
  await reader?.read()
  await settled()
  expect(drained).toHaveBeenCalledOnce()
  expect(emitter.writable).toBe(true)
})

it('ends with the request, and with a body that is cancelled', async () => {
  const abort = new AbortController()
  const aborted = open({ signal: abort.signal })
  abort.abort()
  expect(aborted.calls).toEqual(['closed', 'error disconnected', 'completion'])
  expect(aborted.emitter.send({ data: 'x' })).toBe(false)

  const cancelled = open()
  await cancelled.sink.response.body?.cancel()
  expect(cancelled.calls).toEqual(['closed', 'error disconnected', 'completion'])
})

it('finds a client that has already left', async () => {
  const { emitter, sink, calls } = open({ signal: AbortSignal.abort() })
  expect(emitter.ended).toBe(true)
  expect(sink.response.body).toBeNull()
  expect(sink.closed).toBe(true)
  await settled()
  expect(calls).toEqual(['error disconnected', 'completion'])
})

it('has no body for HEAD', async () => {
  const { emitter, sink } = open({ method: 'HEAD' })
  expect(emitter.ended).toBe(true)
  expect(sink.response.headers.get('Content-Type')).toContain('text/event-stream')
  expect(await sink.response.text()).toBe('')
  expect(sink.closed).toBe(true)
})

it('cuts off a client that is too slow, and one that never reads the rest', async () => {
  const slow = open({}, { maxUnsentBytes: 30_000 })
  while (slow.emitter.write(Buffer.alloc(10_000)));
  expect(slow.calls).toEqual(['closed', 'error overflow', 'completion'])
  await expect(slow.sink.response.text()).rejects.toThrow('cut off')

  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const unread = open({}, { drainTimeout: 1_000 })
  unread.emitter.complete()
  vi.advanceTimersByTime(999)
  expect(unread.sink.closed).toBe(false)
  vi.advanceTimersByTime(1)
  expect(unread.calls).toEqual(['completion', 'closed'])
  await expect(unread.sink.response.text()).rejects.toThrow('cut off')
  expect(vi.getTimerCount()).toBe(0)
})
