import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { ask, listen, type Answer, type Question } from '../testingHosts'
import { createServer } from 'node:http'
import { SseEmitter } from './emitter'
import { nodeSink } from './nodeSink'

async function open(question?: Question): Promise<{ emitter: SseEmitter; client: Answer }> {
  let emitter: SseEmitter | undefined
  const server = createServer((_req, res) => {
    emitter = new SseEmitter(nodeSink(res), { retry: false })
  })
  const client = await ask('http', await listen(server), question)
  if (!emitter) throw new Error('There is no stream.')
  return { emitter, client }
}

/** An iterator whose `next` waits forever, like that of a source without news. */
function waiting() {
  const iterator = {
    next: vi.fn(() => new Promise<IteratorResult<string>>(() => undefined)),
    return: vi.fn(() => Promise.resolve({ done: true as const, value: undefined })),
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}

describe('iterate', () => {
  it('sends everything that an async iterable yields, and leaves the stream open', async () => {
    const { emitter, client } = await open()
    async function* answer(): AsyncGenerator<string> {
      for (const word of ['a', 'b']) {
        await turn()
        yield word
      }
    }
    expect(await emitter.iterate(answer())).toBe(true)
    expect(emitter.ended).toBe(false)
    expect(await emitter.iterate([{ event: 'e', data: { n: 1 } }, [2]])).toBe(true)
    expect(await emitter.iterate(new Map([['k', 3]]), ([event, data]) => ({ event, data }))).toBe(true)
    emitter.complete()
    await client.end
    expect(client.text()).toBe('data: a\n\ndata: b\n\nevent: e\ndata: {"n":1}\n\ndata: [2]\n\nevent: k\ndata: 3\n\n')
  })

  it('asks for no more than a slow client reads, and continues when it reads', async () => {
    const { emitter, client } = await open({ paused: true })
    let asked = 0
    function* events(): Generator<string> {
      for (; asked < 2_000; asked++) yield `${asked} ${'x'.repeat(10_000)}`
    }
    const done = emitter.iterate(events())
    let before = -1
    while (before !== asked || emitter.writable) {
      before = asked
      for (let n = 0; n < 20; n++) await turn()
    }
    expect(asked).toBeLessThan(2_000)
    client.read()
    expect(await done).toBe(true)
    emitter.complete()
    await client.end
    expect(
      client
        .text()
        .match(/(?<=^data: )\d+/gm)
        ?.map(Number),
    ).toEqual(Array.from({ length: 2_000 }, (_, n) => n))
  })

  it.each<[string, (stream: { emitter: SseEmitter; client: Answer }) => void]>([
    ['the client leaves', ({ client }) => client.leave()],
    ['the stream is completed', ({ emitter }) => emitter.complete()],
  ])('returns the iterator at once when %s', async (_name, end) => {
    const stream = await open()
    const source = waiting()
    const done = stream.emitter.iterate(source)
    await vi.waitFor(() => expect(source.next).toHaveBeenCalledOnce())
    end(stream)
    expect(await done).toBe(false)
    expect(source.return).toHaveBeenCalledOnce()
  })

  it('closes the iterator if the client leaves while it is awaited', async () => {
    const { emitter, client } = await open({ paused: true })
    const source = { ...waiting(), next: () => Promise.resolve({ done: false as const, value: 'x'.repeat(100_000) }) }
    const done = emitter.iterate({ [Symbol.asyncIterator]: () => source })
    await vi.waitFor(() => expect(emitter.writable).toBe(false))
    client.leave()
    expect(await done).toBe(false)
    expect(source.return).toHaveBeenCalledOnce()
  })

  it('asks an iterator for nothing when the stream has ended', async () => {
    const { emitter } = await open()
    emitter.complete()
    const source = waiting()
    expect(await emitter.iterate(source)).toBe(false)
    expect(source.next).not.toHaveBeenCalled()
    expect(source.return).toHaveBeenCalledOnce()
  })

  it('throws errors of the source and of events that cannot be sent, and leaves the stream open', async () => {
    const { emitter } = await open()
    const source = { ...waiting(), next: () => Promise.reject(new Error('no database')) }
    await expect(emitter.iterate({ [Symbol.asyncIterator]: () => source })).rejects.toThrow('no database')
    const bad = { ...waiting(), next: () => Promise.resolve({ done: false as const, value: { id: '\n' } }) }
    await expect(emitter.iterate({ [Symbol.asyncIterator]: () => bad })).rejects.toMatchObject({ kind: 'id' })
    expect(bad.return).toHaveBeenCalledOnce()
    expect(emitter.ended).toBe(false)
  })

  it('reports a source that fails to stop', async () => {
    const report = vi.spyOn(console, 'error').mockImplementation(() => undefined)
    const { emitter } = await open()
    const source = { ...waiting(), return: () => Promise.reject(new Error('stuck')) }
    const done = emitter.iterate({ [Symbol.asyncIterator]: () => source })
    await turn()
    emitter.complete()
    expect(await done).toBe(false)
    await turn()
    expect(report).toHaveBeenCalledExactlyOnceWith(expect.any(String), new Error('stuck'))
    report.mockRestore()
  })
})
