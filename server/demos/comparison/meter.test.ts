import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { Client, request, serve } from '../../testing'
import { Meter, type Bytes } from './meter'

/** A server that counts requests for `/mine`, and those for `/open` while they are open. */
async function start() {
  const meter = new Meter()
  const account: Bytes = { up: 0, down: 0 }
  const sockets: Socket[] = []
  const port = await serve((req, res) => {
    ;(meter.watch as unknown as (...args: [typeof req, typeof res, () => void]) => ReturnType<RequestHandler>)(
      req,
      res,
      () => {
        sockets.push(req.socket)
        if (req.url !== '/others') meter.assign(req.socket, account)
        if (req.url === '/open') res.write('first')
        else req.resume().on('end', () => res.end(`you asked for ${req.url ?? ''}`))
      },
    )
  })
  return { port, meter, account, sockets }
}

describe('a meter', () => {
  it('counts exactly the bytes of its own requests on a connection that also serves others', async () => {
    const { port, account } = await start()
    const client = new Client(port)
    let up = 0
    let down = 0
    for (const path of ['/others', '/mine', '/others', '/mine', '/mine', '/others']) {
      const sent = request(path === '/others' ? 'GET' : 'POST', path, {
        'Content-Length': path === '/mine' ? '5' : '0',
      })
      const before = client.received.length
      client.socket.write(path === '/mine' ? `${sent}hello` : sent)
      await client.until(new RegExp(`^[^]{${before}}[^]*you asked for ${path}`))
      if (path !== '/mine') continue
      up += sent.length + 5
      down += client.received.length - before
      await turn()
      expect(account).toEqual({ up, down })
    }
    expect(up).toBeGreaterThan(0)
  })

  it('counts the sent part of an open response, and all of it when the client leaves', async () => {
    const { port, meter, account, sockets } = await start()
    const client = new Client(port, request('GET', '/open'))
    await client.until(/first/)
    meter.settle()
    expect(account).toEqual({ up: request('GET', '/open').length, down: client.received.length })
    meter.settle()
    expect(account.down).toBe(client.received.length)

    client.socket.write('GET ')
    const [socket] = sockets
    if (!socket) throw new Error('There is no socket.')
    const gone = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => undefined) // Half a request is an error.
    client.socket.destroy()
    await gone
    await turn()
    expect(account.up).toBe(request('GET', '/open').length + 4)
  })

  it('counts nothing of a released connection', async () => {
    const { port, meter, account } = await start()
    const client = new Client(port, request('GET', '/mine'))
    await client.until(/you asked for/)
    await turn()
    const before = { ...account }
    client.socket.write(request('GET', '/others'))
    await client.until(/you asked for .others/)
    meter.settle()
    expect(account).toEqual(before)
  })
})
