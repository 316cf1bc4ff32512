import {
  MAX_MESSAGES,
  type InboxSnapshot,
  type Message,
  type MessageEvent,
  type ReadEvent,
} from '../../../shared/demos/inbox'
import type { Database, Row } from '../../store/database'
import { markIn, type Mark, type Outbox } from '../../store/outbox'

/** Inboxes at once: those that have a message. */
const MAX_INBOXES = 1_000

export interface Draft {
  id: string
  from: string
  text: string
}

const NEXT_VERSION = { sql: 'UPDATE changes SET version = version + 1' }
const COLUMNS = 'id, sender, text, time, read, created, version'

/** The messages of all inboxes, in the database. Every change is one transaction, and may be repeated. */
export class Messages {
  readonly #database: Database
  readonly #outbox: Outbox

  constructor(database: Database, outbox: Outbox) {
    this.#database = database
    this.#outbox = outbox
  }

  async of(user: string): Promise<InboxSnapshot> {
    // In one transaction: no change is in the one and not in the other.
    const [changes, rows] = await this.#database.batch([
      { sql: 'SELECT version FROM changes' },
      { sql: `SELECT ${COLUMNS} FROM messages WHERE user = :user ORDER BY created`, args: { user } },
    ])
    return { version: Number(changes?.[0]?.['version']), messages: (rows ?? []).map(messageOf) }
  }

  /** Null when every place is taken by a message that nobody has read, or `inboxes` when there are too many of those. */
  async add(
    user: string,
    { id, from, text }: Draft,
  ): Promise<{ added: MessageEvent; mark: Mark } | 'full' | 'inboxes'> {
    const key = { user, id }
    const [, dropped, , marked, rows, counts] = await this.#database.batch([
      NEXT_VERSION,
      {
        sql: `DELETE FROM messages WHERE user = :user AND id =
                (SELECT id FROM messages WHERE user = :user AND read = 1 ORDER BY created LIMIT 1)
              AND (SELECT count(*) FROM messages WHERE user = :user) >= ${MAX_MESSAGES}
              AND NOT EXISTS (SELECT 1 FROM messages WHERE user = :user AND id = :id)
              RETURNING id`,
        args: key,
      },
      {
        sql: `INSERT INTO messages (user, id, sender, text, time, read, created, version)
              SELECT :user, :id, :from, :text, :time, 0, version, version FROM changes
              WHERE (SELECT count(*) FROM messages WHERE user = :user) < ${MAX_MESSAGES}
              AND (EXISTS (SELECT 1 FROM messages WHERE user = :user)
                OR (SELECT count(DISTINCT user) FROM messages) < ${MAX_INBOXES})
              ON CONFLICT DO NOTHING`,
        args: { ...key, from, text, time: Date.now() },
      },
      this.#outbox.mark(user),
      { sql: `SELECT ${COLUMNS} FROM messages WHERE user = :user AND id = :id`, args: key },
      { sql: 'SELECT count(*) AS messages FROM messages WHERE user = :user', args: { user } },
    ])
    const [row] = rows ?? []
    if (row) {
      const added = { message: messageOf(row), dropped: dropped?.[0] ? String(dropped[0]['id']) : null }
      return { added, mark: markIn(marked) }
    }
    return Number(counts?.[0]?.['messages']) > 0 ? 'full' : 'inboxes'
  }

  /** Marks one message as read, or all of them. Null if there is no such message. */
  async read(user: string, id: string | null): Promise<{ read: ReadEvent; mark: Mark } | null> {
    const isMeant = 'user = :user AND (:id IS NULL OR id = :id)'
    const args = { user, id }
    const [, changed, marked, found, changes] = await this.#database.batch([
      NEXT_VERSION,
      {
        sql: `UPDATE messages SET read = 1, version = (SELECT version FROM changes) WHERE ${isMeant} AND read = 0 RETURNING id`,
        args,
      },
      this.#outbox.mark(user),
      { sql: `SELECT 1 FROM messages WHERE ${isMeant} LIMIT 1`, args },
      { sql: 'SELECT version FROM changes' },
    ])
    if (id !== null && !found?.length) return null
    const ids = (changed ?? []).map((row) => String(row['id']))
    return { read: { ids, version: Number(changes?.[0]?.['version']) }, mark: markIn(marked) }
  }
}

function messageOf(row: Row): Message {
  return {
    id: String(row['id']),
    from: String(row['sender']),
    text: String(row['text']),
    time: Number(row['time']),
    read: Number(row['read']) === 1,
    created: Number(row['created']),
    version: Number(row['version']),
  }
}
