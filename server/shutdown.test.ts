import { once } from 'node:events'
import { expect, it, vi } from 'vitest'
import { createHttpServer } from './httpServer'
import { shutDown } from './shutdown'
import { Streams } from './sse/streams'
import { Client, request } from './testing'

it('closes the log last, when no request needs it any more', async () => {
  const httpServer = createHttpServer()
  const { server } = httpServer
  let answer: () => void = () => undefined
  server.on('request', (_req, res) => (answer = () => res.end('late')))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const client = new Client(typeof address === 'object' && address ? address.port : 0)
  const asked = once(server, 'request')
  client.socket.write(request('GET'))
  await asked

  const close = vi.fn(() => expect(server.listening).toBe(false))
  const page = { handler: () => undefined, live: false, close: () => Promise.resolve() }
  const done = shutDown(httpServer, new Streams(), { close }, page, 0)
  answer()
  expect(close).not.toHaveBeenCalled()
  expect(await client.toEnd()).toContain('late')
  await done
  expect(close).toHaveBeenCalledOnce()
})
