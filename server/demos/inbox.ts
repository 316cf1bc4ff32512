import { randomUUID } from 'node:crypto'
import { Router, type Request, type RequestHandler } from 'express'
import { inboxPaths, MAX_MESSAGES, MAX_TEXT, MESSAGE_ID, USER } from '../../shared/demos/inbox'
import { HttpError } from '../httpError'
import { lastEventId, param, textParam } from '../params'
import { clientKey } from '../sse/clientKey'
import type { Hub } from '../sse/hub'
import type { Streams } from '../sse/streams'
import type { Database } from '../store/database'
import { Feeds, type FeedsOptions } from '../store/feeds'
import { Outbox, type OutboxOptions } from '../store/outbox'
import { Messages } from './inbox/messages'

export interface InboxOptions extends OutboxOptions, Pick<FeedsOptions, 'interval'> {}

/** Inboxes that are the same on every screen: a stream that begins with a snapshot, and what changes them. */
export function inbox(
  streams: Streams,
  hub: Hub,
  guard: RequestHandler,
  database: Database,
  options: InboxOptions = {},
): Router {
  const outbox = new Outbox(database, '#inbox:', options)
  const messages = new Messages(database, outbox)
  const feeds = new Feeds({ ...options, hub, outbox, snapshot: (user) => messages.of(user) })

  return Router()
    .get(inboxPaths.stream, async (req, res) => {
      const user = userParam(req)
      // A stream without its database would stay empty. An error says why.
      await database.open()
      await feeds.subscribe(user, lastEventId(req), () => streams.open(req, res))
    })
    .post(inboxPaths.messages, guard, async (req, res) => {
      const user = userParam(req)
      const text = textParam(req, 'text', MAX_TEXT)
      const from = param(req, 'from') === null ? 'curl' : userParam(req, 'from')
      const id = param(req, 'id') ?? randomUUID()
      if (!MESSAGE_ID.test(id))
        throw new HttpError(400, 'id', 'id must have 1 to 64 of the characters A-Z, a-z, 0-9, "_" and "-".')

      const result = await messages.add(user, { id, from, text })
      if (result === 'full')
        throw new HttpError(
          409,
          'inbox-full',
          `This inbox has ${MAX_MESSAGES} unread messages: mark some as read first.`,
        )
      if (result === 'inboxes')
        throw new HttpError(503, 'inboxes', 'There are too many inboxes: write to one that exists.')
      const { added, mark } = result
      await feeds.announce(user, mark, [{ event: 'message', data: added }], clientKey(req))
      res.status(201).json(added.message)
    })
    .post(inboxPaths.read, guard, async (req, res) => {
      const user = userParam(req)
      const id = param(req, 'id')
      const result = await messages.read(user, id)
      if (result === null) throw new HttpError(404, 'no-message', 'There is no such message in this inbox.')
      const { read, mark } = result
      await feeds.announce(user, mark, [{ event: 'read', data: read }], clientKey(req))
      res.json(read)
    })
}

/** @throws HttpError 400 */
function userParam(req: Request, name: string = 'user'): string {
  const user = param(req, name)
  if (user === null || !USER.test(user))
    throw new HttpError(400, 'user', `${name} must have 1 to 32 letters, digits, ".", "_" or "-".`)
  return user
}
