import compression from 'compression'
import express, { type RequestHandler } from 'express'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { expect, it, onTestFinished, vi } from 'vitest'
import { Client, request, serve } from '../testing'
import { ask, listen } from '../testingHosts'
import { SseEmitter } from './emitter'
import { nodeSink } from './nodeSink'

const EVENT = Buffer.from('data: x\n\n')
const bodyOf = (received: string): string => received.slice(received.indexOf('\r\n\r\n') + 4)

it('frames a chunk once for all receivers of the same bytes in one turn', async () => {
  const emitters: SseEmitter[] = []
  const written: unknown[][] = []
  const port = await serve(({ socket }, res) => {
    emitters.push(new SseEmitter(nodeSink(res), { retry: false }))
    written.push([])
    const chunks = written.at(-1)
    const write = socket.write.bind(socket)
    vi.spyOn(socket, 'write').mockImplementation((chunk: Uint8Array | string) => {
      chunks?.push(chunk)
      return write(chunk)
    })
  })
  const clients = [1, 2].map(() => new Client(port, request('GET')))
  await Promise.all(clients.map((client) => client.until(/\r\n\r\n/)))
  for (const emitter of emitters) emitter.write(EVENT)
  await Promise.all(clients.map((client) => client.until(/9\r\ndata: x\n\n\r\n$/)))
  expect(written[0]?.[0]).toBe(written[1]?.[0])
  // In another turn, the same bytes are framed again.
  await new Promise(setImmediate)
  emitters[0]?.write(EVENT)
  expect(written[0]?.[1]).toEqual(written[0]?.[0])
  expect(written[0]?.[1]).not.toBe(written[0]?.[0])
})

it('sends written bytes at once, and gathers events sent in one turn', async () => {
  const port = await serve((_req, res) => {
    const emitter = new SseEmitter(nodeSink(res), { retry: false })
    setImmediate(() => {
      emitter.write(EVENT)
      const afterWrite = res.writableLength
      emitter.send({ data: 'y' })
      emitter.send({ data: 'z' })
      const afterSend = res.writableLength
      emitter.send({ data: `${afterWrite} ${afterSend}` })
      emitter.complete()
    })
  })
  const client = new Client(port, request('GET'))
  expect(await client.toEnd()).toMatch(/data: x[^]*data: y[^]*data: z[^]*data: 0 28\n\n\r\n0\r\n\r\n$/)
})

it.each<[string, string, (res: ServerResponse) => unknown, RegExp]>([
  ['over HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', () => undefined, /^data: x\n\ndata: y\n\n$/],
  ['with a length', request('GET'), (res) => res.setHeader('Content-Length', 18), /^data: x\n\ndata: y\n\n$/],
  [
    'for bytes that are said to be encoded',
    request('GET'),
    (res) => res.setHeader('Content-Encoding', 'identity'),
    /^9\r\ndata: x\n\n\r\n9\r\ndata: y\n\n\r\n0\r\n\r\n$/,
  ],
  [
    'where somebody wants to see what is written',
    request('GET'),
    (res) => {
      const write = res.write.bind(res) as (bytes: Buffer) => boolean
      res.write = (bytes: Buffer) => write(Buffer.from(bytes.toString().toUpperCase()))
    },
    /^9\r\nDATA: X\n\n\r\n9\r\nDATA: Y\n\n\r\n0\r\n\r\n$/,
  ],
])('leaves the framing to the response %s', async (_name, head, prepare, expected) => {
  const port = await serve((_req, res) => {
    prepare(res)
    const emitter = new SseEmitter(nodeSink(res), { retry: false })
    setImmediate(() => {
      emitter.write(EVENT)
      emitter.send({ data: 'y' })
      emitter.complete()
    })
  })
  expect(bodyOf(await new Client(port, head).toEnd())).toMatch(expected)
})

it('sends through the compression of Express, which obeys no-transform, uncompressed and at once', async () => {
  const emitters: SseEmitter[] = []
  const app = express()
    .use(compression({ filter: () => true, threshold: 0 }))
    .get('/', (_req, res) => void emitters.push(new SseEmitter(nodeSink(res))))
  const port = await listen(createServer(app))
  const client = await ask('http', port, { headers: { 'Accept-Encoding': 'gzip' } })
  expect(client.headers['content-encoding']).toBeUndefined()
  emitters[0]?.send({ data: 'x' })
  await client.until('data: x\n\n')
  emitters[0]?.complete()
  expect(await client.end).toBe('complete')
})

/** Compresses everything, whatever its headers say. */
const gzipAll: RequestHandler = (_req, res, next) => {
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
  const writeHead = res.writeHead.bind(res) as (status: number, headers: object) => typeof res
  const write = res.write.bind(res) as (bytes: Buffer) => boolean
  const end = res.end.bind(res)
  res.writeHead = ((status: number, headers: object) =>
    writeHead(status, { ...headers, 'Content-Encoding': 'gzip' })) as typeof res.writeHead
  res.write = ((bytes: Buffer) => gzip.write(bytes)) as typeof res.write
  res.end = (() => {
    gzip.end()
    return res
  }) as typeof res.end
  gzip.on('data', (bytes: Buffer) => write(bytes)).on('end', () => end())
  next()
}

it('does not bypass a compression that ignores no-transform', async () => {
  const emitters: SseEmitter[] = []
  const app = express()
    .use(gzipAll)
    .get('/', (_req, res) => void emitters.push(new SseEmitter(nodeSink(res), { retry: 7 })))
  const port = await listen(createServer(app))
  const [response] = (await once(get({ port, host: '127.0.0.1' }), 'response')) as [IncomingMessage]
  expect(response.headers['content-encoding']).toBe('gzip')
  const gunzip = response.pipe(createGunzip())
  let text = ''
  gunzip.on('data', (bytes: Buffer) => (text += bytes.toString()))
  await vi.waitFor(() => expect(text).toBe('retry: 7\n\n'))
  emitters[0]?.write(EVENT)
  emitters[0]?.send({ data: 'y' })
  emitters[0]?.complete()
  await once(gunzip, 'end')
  expect(text).toBe('retry: 7\n\ndata: x\n\ndata: y\n\n')
})

it('notices a client that left before the stream was opened, over HTTP/2 too', async () => {
  let check: (() => Promise<string[]>) | undefined
  const server = createHttp2Server((_req, res) => {
    const closed = once(res, 'close')
    check = async () => {
      await closed
      const calls: string[] = []
      const emitter = new SseEmitter(nodeSink(res))
      emitter.onError((error) => calls.push((error as Error).message))
      emitter.onCompletion(() => calls.push('completion'))
      expect(emitter.ended).toBe(true)
      await Promise.resolve()
      return calls
    }
  })
  const port = await listen(server)
  const session = connect(`http://127.0.0.1:${port}`).on('error', () => undefined)
  onTestFinished(() => session.destroy())
  session.request().on('error', () => undefined)
  await vi.waitFor(() => expect(check).toBeDefined())
  session.destroy()
  expect(await check?.()).toEqual(['The client left.', 'completion'])
})
