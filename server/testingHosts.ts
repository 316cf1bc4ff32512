/** Several kinds of servers that answer every request with a stream, and a client for all of them. */

import { serve } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import type { Readable } from 'node:stream'
import { onTestFinished } from 'vitest'
import type { nodeSink } from './sse/nodeSink'
import type { Sink } from './sse/sink'
import type { webSink } from './sse/webSink'

/** The sinks, original or copied. */
export interface Sinks {
  nodeSink: typeof nodeSink
  webSink: typeof webSink
}

export interface Host {
  name: string
  protocol: 'http' | 'https' | 'http2'
  /** Calls `answer` with the sink of each request. */
  server: (sinks: Sinks, answer: (sink: Sink) => void) => Server
}

/** For localhost, valid until 2126. */
const TLS = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjgm/kEbi1g9Lqz1c
mQEoGVh1tw3XgX+yylUGMekmuzWhRANCAATDrcm7B6sLdVE7U5IyQH1+wlVnSXen
ln0l6eKhT7P/0Qe5gIXLmvRY8/bdzNhrtXb+szPbgoC6ch64yOQRyNX7
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIURko2HWpVuykztp59AO+V+z4bA6EwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTE4NDIyMloYDzIxMjYxMDI4
MTg0MjIyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATDrcm7B6sLdVE7U5IyQH1+wlVnSXenln0l6eKhT7P/0Qe5gIXLmvRY
8/bdzNhrtXb+szPbgoC6ch64yOQRyNX7o28wbTAdBgNVHQ4EFgQUGFOCxPXPYuto
DgWfOcOcqlhVU5wwHwYDVR0jBBgwFoAUGFOCxPXPYutoDgWfOcOcqlhVU5wwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgGwDwf6Ei2cLI5+K0MWF5U2sG4la4+0eYRzoyIUN+kUQCIQCv
QtMwODbmUKv3ljP1hG6ORkSHHUkLVTRbo1pjV66/OA==
-----END CERTIFICATE-----`,
}

export const hosts: readonly Host[] = [
  {
    name: 'node:http',
    protocol: 'http',
    server: ({ nodeSink }, answer) => createServer((_req, res) => answer(nodeSink(res))),
  },
  {
    name: 'node:https',
    protocol: 'https',
    server: ({ nodeSink }, answer) => createHttpsServer(TLS, (_req, res) => answer(nodeSink(res))),
  },
  {
    name: 'node:http2',
    protocol: 'http2',
    server: ({ nodeSink }, answer) => createHttp2Server((_req, res) => answer(nodeSink(res))),
  },
  {
    name: 'Express',
    protocol: 'http',
    server: ({ nodeSink }, answer) => createServer(express().use((_req, res) => answer(nodeSink(res)))),
  },
  {
    name: 'Hono',
    protocol: 'http',
    server: ({ webSink }, answer) =>
      honoServer((request) => {
        const sink = webSink(request)
        answer(sink)
        return sink.response
      }),
  },
]

function honoServer(answer: (request: Request) => Response): Server {
  const app = new Hono().get('*', (context) => answer(context.req.raw))
  return serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
}

/** Starts a server on a free port. It and its connections end with the test. */
export async function listen(server: Server): Promise<number> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  onTestFinished(() => {
    server.close()
    if ('closeAllConnections' in server) (server.closeAllConnections as () => void)()
  })
  return (server.address() as AddressInfo).port
}

/** The response to a request, over any of the protocols. */
export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** Starts reading, if the request asked to wait. */
  read: () => void
  /** Everything received so far. */
  text: () => string
  /** Waits for `expected`, and returns everything received. */
  until: (expected: string | RegExp) => Promise<string>
  /** How the body ended. */
  end: Promise<'complete' | 'cut'>
  /** Destroys the connection. */
  leave: () => void
}

export interface Question {
  method?: string
  path?: string
  headers?: Record<string, string>
  /** Leaves the body unread until `read` is called. */
  paused?: boolean
}

export async function ask(protocol: Host['protocol'], port: number, question: Question = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, paused = false } = question
  let body: Readable
  let head: IncomingHttpHeaders
  let isComplete = (): boolean => true
  let leave: () => void
  if (protocol === 'http2') {
    // The session's window is only that of one stream, so a client that does not read stops the server as over HTTP/1.1.
    const session = connect(`http://127.0.0.1:${port}`)
    session.on('error', () => undefined)
    onTestFinished(() => session.destroy())
    const stream = session.request({ ':method': method, ':path': path, ...headers })
    ;[head] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    body = stream
    isComplete = () => stream.rstCode === 0 && stream.readableEnded
    leave = () => session.destroy()
  } else {
    const request = protocol === 'https' ? httpsRequest : httpRequest
    const options = { host: '127.0.0.1', port, method, path, headers, agent: false, ca: TLS.cert, family: 4 }
    const sent = request(options).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    head = { ':status': String(response.statusCode), ...response.headers }
    body = response
    isComplete = () => response.complete
    leave = () => response.socket.destroy()
    onTestFinished(() => void response.destroy())
  }

  let text = ''
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }
  body.setEncoding('utf8').on('error', () => undefined)
  const read = (): void => {
    body.on('data', (more: string) => {
      text += more
      changed()
    })
  }
  if (!paused) read()
  const end = new Promise<'complete' | 'cut'>((resolve) => {
    const ended = (): void => resolve(isComplete() ? 'complete' : 'cut')
    if (body.closed) ended()
    else body.once('close', ended)
  })
  void end.then(changed)
  const until = (expected: string | RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (text.search(expected) !== -1) resolve(text)
        else if (body.closed) reject(new Error(`It ended without ${String(expected)}:\n${text.slice(-1_000)}`))
        else return
        listeners.delete(look)
      }
      listeners.add(look)
      look()
    })
  return { status: Number(head[':status']), headers: head, read, text: () => text, until, end, leave }
}
