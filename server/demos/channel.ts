import { Router, type Request, type RequestHandler, type Response } from 'express'
import { channelPaths, greeting } from '../../shared/demos/channel'
import { HttpError } from '../httpError'
import { contentParam, idParam, integerParam, lastEventId, param } from '../params'
import { clientKey } from '../sse/clientKey'
import type { SseEmitter } from '../sse/emitter'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'

export interface ChannelOptions {
  /** Runs a change of a channel; throws if the client may not use another channel. */
  quota: { use: <T>(client: string, channel: string, change: () => Promise<T>) => Promise<T> }
  /** The most bytes of pushed content. */
  maxContentBytes: number
}

const HOUR = 3_600_000

/** Channels over the hub: subscribe, push, over, cut. `guard` protects state-changing routes. */
export function channel(
  streams: Streams,
  hub: Hub,
  guard: RequestHandler,
  { quota, maxContentBytes }: ChannelOptions,
): Router {
  /** The subscribers' responses, by channel: the hub knows only emitters, and no connections. */
  const responses = new Map<string, Set<Response>>()

  function remember(id: string, emitter: SseEmitter, res: Response): void {
    const ofChannel = responses.get(id) ?? new Set()
    responses.set(id, ofChannel.add(res))
    emitter.onCompletion(() => {
      ofChannel.delete(res)
      if (ofChannel.size === 0 && responses.get(id) === ofChannel) responses.delete(id)
    })
  }

  return Router()
    .get(channelPaths.subscribe, async (req, res) => {
      const id = idParam(req)
      const timeout = integerParam(req, 'timeout', 0, 100, HOUR)
      const from = param(req, 'from') === 'now' ? 'now' : 'oldest'
      const after = lastEventId(req)

      const open = (): SseEmitter => {
        // A requested timeout is meant to show how the browser reconnects, so it should do so soon.
        const emitter = streams.open(req, res, timeout ? { timeout, retry: 1_000 } : { timeout: HOUR })
        remember(id, emitter, res)
        return emitter
      }
      if ((await hub.subscribe(id, open, { after, from, greeting })) === 'finished') res.status(204).end()
    })
    .all(channelPaths.push, guard, async (req, res) => {
      const id = idParam(req)
      const data = contentParam(req, maxContentBytes)
      const client = clientKey(req)
      const position = await quota.use(client, id, () => hub.publish(id, { data }, { client }))
      answer(req, res, 'pushed!', { position })
    })
    .all(channelPaths.over, guard, async (req, res) => {
      const id = idParam(req)
      const client = clientKey(req)
      // Creates the channel if it has subscribers but no event yet.
      const position = await quota.use(client, id, async () => {
        const last = await hub.over(id, { client })
        if (last === null) throw new HttpError(404, 'no-channel', `There is no channel ${id}: subscribe or push first.`)
        return last
      })
      answer(req, res, 'over!', { position })
    })
    .all(channelPaths.cut, guard, (req, res) => {
      const id = idParam(req)
      const cut = responses.get(id)
      if (!cut) throw new HttpError(404, 'no-subscriber', `Nobody is subscribed to channel ${id}: subscribe first.`)
      // Each response removes itself from the set when it is destroyed.
      const all = [...cut]
      for (const one of all) one.destroy()
      answer(req, res, 'cut!', { connections: all.length })
    })
}

/** Words for people, facts for programs that ask for JSON. */
function answer(req: Request, res: Response, words: string, facts: Record<string, string | number>): void {
  if (req.accepts(['text', 'json']) === 'json') res.json(facts)
  else res.type('text').send(`${words}\n`)
}
