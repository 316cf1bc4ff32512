/** The whole application on its real HTTP server, for tests. Everything started here ends with its test. */

import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { onTestFinished } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths, greeting } from '../shared/demos/channel'
import { createApp, type AppOptions } from './app'
import { createHttpServer, type HttpServerOptions } from './httpServer'
import type { SseEmitterOptions } from './sse/emitterOptions'
import { Hub } from './sse/hub'
import { MemoryEventLog, type MemoryEventLogOptions } from './sse/memoryEventLog'
import { Streams, type StreamLimits } from './sse/streams'
import { Client, request } from './testing'

export interface TestAppOptions extends Partial<Omit<AppOptions, 'streams' | 'hub' | 'log' | 'connections'>> {
  limits?: StreamLimits
  /** For every emitter. @default no `retry:` hint and no heartbeat, so that a stream has only what the demo sends */
  sse?: SseEmitterOptions
  log?: MemoryEventLogOptions
  http?: HttpServerOptions
}

export type Headers = Record<string, string>

/** A complete response. */
export interface Reply {
  status: number
  headers: Headers
  body: string
}

export interface TestApp {
  server: Server
  port: number
  streams: Streams
  hub: Hub
  log: MemoryEventLog
  fetch: (path: string, init?: RequestInit) => Promise<Response>
  /** Sends these bytes on a connection of their own, and resolves to the only response once it is complete. */
  exchange: (text: string) => Promise<Reply>
  /** Sends a request on a connection of its own. Every header can be set, even `Host`. */
  ask: (method: string, path: string, headers?: Headers, body?: string) => Promise<Reply>
  /** Opens a stream. HTTP/1.0 has no chunks: everything after the head is the stream. */
  open: (path: string, headers?: Headers) => Client
}

export async function startApp({
  limits,
  sse,
  log: logOptions,
  http,
  ...options
}: TestAppOptions = {}): Promise<TestApp> {
  const streams = new Streams(limits, { retry: false, heartbeat: 0, ...sse })
  const log = new MemoryEventLog(logOptions)
  const hub = new Hub(log)
  const { server, connections } = createHttpServer(http)
  const app = createApp({
    streams,
    hub,
    log,
    connections,
    pushesPerMinute: 100_000,
    channelsPerAddress: 100_000,
    ...options,
  })
  server.on('request', app.request).on('upgrade', app.upgrade)
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
    log.close()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo

  const exchange = async (text: string): Promise<Reply> => {
    const client = new Client(port, text)
    const reply = replyOf(await client.toEnd())
    client.socket.destroy()
    return reply
  }
  return {
    server,
    port,
    streams,
    hub,
    log,
    exchange,
    fetch: (path, init) => fetch(`http://127.0.0.1:${port}${path}`, init),
    ask: (method, path, headers = {}, body = '') => {
      const length: Headers = body === '' ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }
      return exchange(request(method, path, { Connection: 'close', ...length, ...headers }) + body)
    },
    open: (path, headers) => new Client(port, request('GET', path, headers).replace('HTTP/1.1', 'HTTP/1.0')),
  }
}

/** The first response in the received text. */
export function replyOf(received: string): Reply {
  const [head = '', ...rest] = received.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  const headers = lines.map((header): [string, string] => {
    const colon = header.indexOf(': ')
    return [header.slice(0, colon).toLowerCase(), header.slice(colon + 2)]
  })
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]),
    headers: Object.fromEntries(headers),
    body: rest.join('\r\n\r\n'),
  }
}

/** The body received so far by a client from `open`. */
export function streamOf({ received }: Client): string {
  return replyOf(received).body
}

/** The error in a response, which must be one of ours: JSON with exactly a code and a message. */
export function errorOf({ status, headers, body }: Reply): { status: number; code: string; message: string } {
  if (headers['content-type'] !== 'application/json; charset=utf-8') throw new Error(`This is not JSON: ${body}`)
  const { error, ...more } = JSON.parse(body) as { error: { code: string; message: string } }
  if (Object.keys(more).length > 0 || Object.keys(error).join() !== 'code,message') throw new Error(`Not ours: ${body}`)
  return { status, ...error }
}

/** The events of a stream, as a browser reads them. */
export function eventsIn(client: Client): EventSourceMessage[] {
  const events: EventSourceMessage[] = []
  createParser({ onEvent: (event) => void events.push(event) }).feed(streamOf(client))
  return events
}

/** A subscriber of a channel that has received its greeting. */
export async function subscribe(app: TestApp, id: string): Promise<Client> {
  const client = app.open(`${channelPaths.subscribe}?id=${id}`)
  await client.until(new RegExp(`${greeting}\n\n`))
  return client
}

/** A subscriber of the demo by hand that has received its greeting. */
export async function subscribeByHand(app: TestApp, id: string): Promise<Client> {
  const client = app.open(`${byHandPaths.subscribe}?id=${id}`)
  await client.until(/订阅成功\n/)
  return client
}
