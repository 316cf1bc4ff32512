import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Hub } from '../sse/hub'
import { MemoryEventLog } from '../sse/memoryEventLog'
import { SseEmitter } from '../sse/emitter'
import { nodeSink } from '../sse/nodeSink'
import { Client, eventsOf, request, serve } from '../testing'
import { Feeds } from './feeds'

const eventually = (assertion: () => unknown): Promise<unknown> =>
  vi.waitFor(assertion, { timeout: 20_000, interval: 5 })

describe('a feed', () => {
  it('whose change could not be announced announces all of its state as soon as there is room', async () => {
    const log = new MemoryEventLog({ maxTotalBytes: 20_000, maxAge: 200 })
    onTestFinished(() => log.close())
    const hub = new Hub(log)
    let state = 'old'
    const feeds = new Feeds({ hub, prefix: '#test:', snapshot: () => Promise.resolve({ state }), retryDelay: 20 })
    const port = await serve((_req, res) =>
      feeds.subscribe('a', null, () => new SseEmitter(nodeSink(res), { retry: false, heartbeat: 0 })),
    )
    const client = new Client(port, request('GET').replace('1.1', '1.0'))
    await client.until(/"old"/)

    while (
      await hub.publish('full', { data: 'x'.repeat(1_000) }).then(
        () => true,
        () => false,
      )
    );
    state = 'new'
    await feeds.announce('a', [{ event: 'change', data: { state } }], 'client')
    expect(client.received).not.toContain('new')

    // What fills the log goes with its age.
    await client.until(/"new"/)
    const events = eventsOf(client.received.split('\r\n\r\n')[1] ?? '')
    expect(events.map(({ event, data }) => `${event} ${data}`)).toEqual([
      'snapshot {"state":"old"}',
      'snapshot {"state":"new"}',
    ])
    await eventually(() => expect(log.size).toBe(1))
  })
})
