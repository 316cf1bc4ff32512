/** The promise of the folder: copied alone into a project with nothing but Node's types, it compiles, and works under every kind of server. */

import { execFileSync, spawn } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { strictestOptions } from '../../e2e/strictestOptions'
import { Client, request } from '../testing'
import { ask, hosts, listen, type Answer, type Host, type Question, type Sinks } from '../testingHosts'
import type { SseEmitter } from './emitter'
import type { SseEmitterOptions } from './emitterOptions'
import type { Hub } from './hub'
import type { MemoryEventLog } from './memoryEventLog'
import type { Sink } from './sink'
import type { Streams } from './streams'

vi.setConfig({ testTimeout: 30_000 })

/** The exports of the copy that these tests use. */
interface Copy extends Sinks {
  SseEmitter: typeof SseEmitter
  Streams: typeof Streams
  Hub: typeof Hub
  MemoryEventLog: typeof MemoryEventLog
}

const folder = fileURLToPath(new URL('.', import.meta.url))
const packages = fileURLToPath(new URL('../../node_modules', import.meta.url))

let project: string
let copy: Copy

beforeAll(async () => {
  project = realpathSync(mkdtempSync(join(tmpdir(), 'copy-')))
  mkdirSync(join(project, 'sse'))
  for (const name of readdirSync(folder))
    if (!name.includes('.test.')) copyFileSync(join(folder, name), join(project, 'sse', name))
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true })
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(join(packages, name), join(project, 'node_modules', name), 'junction')
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  expect(compile({ module: 'nodenext', declaration: true, rootDir: 'sse', outDir: 'out' })).toBe('')
  const names = ['emitter', 'nodeSink', 'webSink', 'streams', 'hub', 'memoryEventLog']
  const modules = names.map((name): Promise<unknown> => import(pathToFileURL(join(project, `out/${name}.js`)).href))
  copy = Object.assign({}, ...(await Promise.all(modules))) as Copy
}, 120_000)

afterAll(() => {
  rmSync(project, { recursive: true })
})

/** The TypeScript compiler's errors in the copy; empty if there are none. */
function compile(options: Record<string, unknown>, include: string[] = ['sse']): string {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023'],
    types: ['node'],
    isolatedDeclarations: true,
    ...strictestOptions,
    ...options,
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  try {
    execFileSync(process.execPath, [join(packages, 'typescript/bin/tsc'), '-p', project], { encoding: 'utf8' })
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

it('compiles for bundlers too', { timeout: 60_000 }, () => {
  expect(compile({ module: 'esnext', moduleResolution: 'bundler', noEmit: true, declaration: true })).toBe('')
})

it('the examples of the README compile, and stream', { timeout: 120_000 }, async () => {
  const names = ['node', 'express', 'hono']
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const text = readFileSync(join(folder, '../../README.md'), 'utf8')
  for (const name of ['stream', ...names]) {
    const [, code = ''] = new RegExp(`\`\`\`ts\\n(// ${name}\\.ts[^]*?)\`\`\``).exec(text) ?? []
    expect(code).toContain('import')
    writeFileSync(join(project, `${name}.ts`), code.replace('3000', `${port + names.indexOf(name)}`))
  }
  for (const name of ['express', '@types/express', 'hono', '@hono/node-server']) {
    const link = join(project, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(packages, name), link, 'junction')
  }
  const files = ['stream', ...names].map((name) => `${name}.ts`)
  expect(compile({ module: 'nodenext', isolatedDeclarations: false, rootDir: '.', outDir: 'examples' }, files)).toBe('')

  for (const [n, name] of names.entries()) {
    const server = spawn(process.execPath, [join(project, `examples/${name}.js`)], { stdio: 'inherit' })
    onTestFinished(() => void server.kill())
    const answer = await vi.waitFor(() => ask('http', port + n, { path: '/sse' }), { timeout: 20_000 })
    await answer.until('id: 1\ndata: {"n":1}\n\n')
    await answer.until('id: 2\n')
    const headers = { 'Last-Event-ID': '29' }
    const resumed = await ask('http', port + n, { path: '/sse', headers })
    expect(await resumed.end).toBe('complete')
    expect(resumed.text()).toMatch(/^retry: \d+\n\nid: 30\ndata: {"n":30}\n\nevent: close\n/)
    server.kill()
  }
})

interface Stream {
  emitter: SseEmitter
  calls: string[]
}

function record(emitter: SseEmitter): string[] {
  const calls: string[] = []
  emitter.onTimeout(() => calls.push('timeout'))
  emitter.onError((error) => calls.push(`error ${(error as { kind?: string }).kind ?? String(error)}`))
  emitter.onCompletion(() => calls.push('completion'))
  return calls
}

/** A server that opens a stream for each request. */
async function start(host: Host, options: SseEmitterOptions = {}) {
  const streams: Stream[] = []
  const failures: unknown[] = []
  const places = new copy.Streams()
  const server = host.server(copy, (sink: Sink) => {
    try {
      const emitter = places.open({ socket: { remoteAddress: '192.0.2.1' } }, sink, { retry: 7, ...options })
      streams.push({ emitter, calls: record(emitter) })
    } catch (error) {
      failures.push(error)
    }
  })
  const port = await listen(server)
  return {
    server,
    port,
    streams,
    failures,
    places,
    open: async (question?: Question): Promise<Stream & { client: Answer }> => {
      const client = await ask(host.protocol, port, question)
      const stream = streams.at(-1)
      if (!stream) throw new Error('No stream was opened.')
      return { client, ...stream }
    },
  }
}

/** Sends until the client no longer keeps up. */
async function fill(emitter: SseEmitter): Promise<number> {
  let n = 0
  for (; emitter.writable && n < 10_000; n++) {
    emitter.send({ data: `${n} ${'x'.repeat(10_000)}` })
    await turn()
  }
  expect(emitter.ended).toBe(false)
  return n
}

describe.each(hosts)('$name', (host) => {
  it('sends the head and the hint at once, and each event without waiting for the next', async () => {
    const { open } = await start(host)
    const { client, emitter } = await open()
    expect(client.status).toBe(200)
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
    })
    expect(await client.until('\n\n')).toBe('retry: 7\n\n')
    for (const data of ['one', 'two']) {
      expect(emitter.send({ data })).toBe(true)
      await client.until(`data: ${data}\n\n$`)
    }
    emitter.complete()
    expect(await client.end).toBe('complete')
    expect(client.text()).toBe('retry: 7\n\ndata: one\n\ndata: two\n\n')
  })

  it('knows after which event the client resumes, preferring the header to the query', async () => {
    const { open } = await start(host)
    expect((await open()).emitter.lastEventId).toBeNull()
    expect((await open({ path: '/?a=b&lastEventId=from%20query' })).emitter.lastEventId).toBe('from query')
    const headers = { 'Last-Event-ID': Buffer.from('日 1').toString('latin1') }
    expect((await open({ path: '/?lastEventId=stale', headers })).emitter.lastEventId).toBe('日 1')
  })

  it('answers HEAD with the head alone', async () => {
    const { open } = await start(host)
    const { client, emitter, calls } = await open({ method: 'HEAD' })
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    expect(await client.end).toBe('complete')
    expect(client.text()).toBe('')
    expect(emitter.send({ data: 'x' })).toBe(false)
    expect(calls).toEqual(['completion'])
  })

  it('waits for a slow client, and delivers everything when it reads on', async () => {
    const { open } = await start(host)
    const { client, emitter } = await open({ paused: true })
    const drained = vi.fn()
    emitter.onDrain(drained)
    const count = await fill(emitter)
    expect(drained).not.toHaveBeenCalled()
    client.read()
    await vi.waitFor(() => expect(drained).toHaveBeenCalledOnce(), 20_000)
    expect(emitter.writable).toBe(true)
    emitter.complete()
    expect(await client.end).toBe('complete')
    const numbers = client.text().match(/(?<=^data: )\d+/gm)
    expect(numbers?.map(Number)).toEqual(Array.from({ length: count }, (_, n) => n))
  })

  it('ends when the client leaves', async () => {
    const { open, places } = await start(host)
    const { client, emitter, calls } = await open()
    await client.until('retry')
    expect(places.size).toBe(1)
    client.leave()
    await vi.waitFor(() => expect(calls).toEqual(['error disconnected', 'completion']))
    expect(emitter.signal.aborted).toBe(true)
    expect(emitter.send({ data: 'x' })).toBe(false)
    await vi.waitFor(() => expect(places.size).toBe(0))
  })

  it('times out with a last message, and ends properly', async () => {
    const { open, places } = await start(host, { timeout: 200 })
    const { client, emitter, calls } = await open()
    emitter.onTimeout(() => emitter.send({ event: 'close', data: 'bye' }))
    expect(await client.end).toBe('complete')
    expect(client.text()).toBe('retry: 7\n\nevent: close\ndata: bye\n\n')
    expect(calls).toEqual(['timeout', 'completion'])
    await vi.waitFor(() => expect(places.size).toBe(0))
  })

  it('cuts off a client for which too many bytes wait, and shows it no proper end', async () => {
    const { open, places } = await start(host, { maxUnsentBytes: 300_000 })
    const { client, emitter, calls } = await open({ paused: true })
    for (let n = 0; n < 10_000 && emitter.send({ data: 'x'.repeat(10_000) }); n++) await turn()
    expect(calls).toEqual(['error overflow', 'completion'])
    client.read()
    expect(await client.end).toBe('cut')
    await vi.waitFor(() => expect(places.size).toBe(0))
  })

  it('cuts off a client that reads nothing for too long', async () => {
    const { open, places } = await start(host, { drainTimeout: 300 })
    const { emitter, calls } = await open({ paused: true })
    await fill(emitter)
    await vi.waitFor(() => expect(calls).toEqual(['error stalled', 'completion']))
    await vi.waitFor(() => expect(places.size).toBe(0))
  })

  it('cuts off a client that never reads the rest after the end', async () => {
    const { open, places } = await start(host, { drainTimeout: 300 })
    const { emitter, calls } = await open({ paused: true })
    await fill(emitter)
    emitter.complete()
    expect(places.size).toBe(1)
    await vi.waitFor(() => expect(places.size).toBe(0))
    expect(calls).toEqual(['completion'])
  })

  it('sends nothing after the end', async () => {
    const { open } = await start(host)
    const { client, emitter } = await open()
    emitter.send({ data: 'last' })
    emitter.complete()
    expect(emitter.send({ data: 'late' })).toBe(false)
    expect(emitter.write(Buffer.from('data: late\n\n'))).toBe(false)
    expect(await client.end).toBe('complete')
    expect(client.text()).toBe('retry: 7\n\ndata: last\n\n')
  })

  it('sends a channel: stored events, new events, and the end', async () => {
    const log = new copy.MemoryEventLog()
    onTestFinished(() => log.close())
    const hub = new copy.Hub(log)
    await hub.publish('news', { data: 'kept' })
    const server = host.server(copy, (sink) => {
      void hub.subscribe('news', () => new copy.SseEmitter(sink), { after: sink.lastEventId })
    })
    const port = await listen(server)
    const clients = await Promise.all([1, 2, 3].map(() => ask(host.protocol, port)))
    await Promise.all(clients.map((client) => client.until('data: kept\n\n')))
    await hub.publish('news', { data: 'new' })
    await hub.over('news')
    for (const client of clients) {
      expect(await client.end).toBe('complete')
      expect(client.text()).toMatch(/data: kept\n\nid: \S+\ndata: new\n\nevent: close\nid: \S+\ndata: .*\n\n$/)
    }
  })

  it('shuts down: every stream ends properly with a hint, and the server closes', async () => {
    const { open, places, server } = await start(host)
    const clients = [(await open()).client, (await open()).client]
    const closed = new Promise((resolve) => server.close(resolve))
    await places.end(0)
    for (const client of clients) {
      expect(await client.end).toBe('complete')
      expect(client.text()).toMatch(/^retry: 7\n\nretry: [2-5]\d{3}\n\n$/)
      if (host.protocol === 'http2') client.leave()
    }
    await closed
  })
})

/** Only for clients that write their own bytes. */
describe.each(hosts.filter(({ protocol }) => protocol === 'http'))('$name, byte for byte', (host) => {
  it('ends when the client closes its side', async () => {
    const { port, streams } = await start(host)
    const client = new Client(port, request('GET'))
    await client.until(/retry: 7\n\n/)
    client.socket.end()
    await vi.waitFor(() => expect(streams[0]?.calls).toEqual(['error disconnected', 'completion']))
  })

  it('sends no chunks over HTTP/1.0', async () => {
    const { port, streams } = await start(host)
    const client = new Client(port, 'GET / HTTP/1.0\r\n\r\n')
    await client.until(/retry: 7\n\n/)
    streams[0]?.emitter.send({ data: 'x' })
    streams[0]?.emitter.complete()
    expect(await client.toEnd()).toMatch(/\r\n\r\nretry: 7\n\ndata: x\n\n$/)
  })

  it('sends whole chunks over HTTP/1.1, and the last one', async () => {
    const { port, streams } = await start(host)
    const client = new Client(port, request('GET', '/', { Connection: 'close' }))
    await client.until(/retry: 7\n\n\r\n/)
    streams[0]?.emitter.send({ data: 'x' })
    await client.until(/data: x\n\n\r\n/)
    streams[0]?.emitter.complete()
    expect(await client.toEnd()).toMatch(/\r\n\r\na\r\nretry: 7\n\n\r\n9\r\ndata: x\n\n\r\n0\r\n\r\n$/)
  })

  it('leaves the connection to others after HEAD', async () => {
    const { port } = await start(host)
    const client = new Client(port, request('HEAD'))
    await client.until(/\r\n\r\n/)
    client.socket.write(request('GET'))
    expect(await client.until(/retry: 7\n\n/)).toMatch(/\r\n\r\nHTTP\/1.1 200 OK\r\n[^]*\r\n\r\na\r\nretry: 7\n\n/)
  })

  it('is not disturbed by a request that is pipelined behind it', async () => {
    const { port, streams } = await start(host)
    const client = new Client(port, request('GET').repeat(2))
    await client.until(/retry: 7\n\n/)
    streams[0]?.emitter.send({ data: 'on' })
    await client.until(/data: on\n\n/)
    streams[0]?.emitter.complete()
    await client.until(/\r\n0\r\n\r\n/)
    expect(client.received).toMatch(/^HTTP[^]*\r\n\r\na\r\nretry: 7\n\n\r\na\r\ndata: on\n\n\r\n0\r\n\r\n/)
  })
})
