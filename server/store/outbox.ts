import { NOW, type Database, type Row, type Statement } from './database'

export interface OutboxOptions {
  /** Milliseconds for which whoever is about to announce a change has it for itself. @default 5_000 */
  lease?: number
}

/** A change that is marked as not announced, by its version; null if nothing was changed. */
export type Mark = number | null

/**
 * The changes of feeds that have not been announced, as rows beside what they changed.
 *
 * A row goes when its own change was announced, or with a snapshot of the feed that contains it. Whatever happens to the process
 * that made the change, somebody finds the row when its lease has run out.
 */
export class Outbox {
  readonly #database: Database
  readonly #prefix: string
  readonly #lease: number

  /** @param prefix In front of a feed's id in the name of its channel. No channel of the channel demo's users begins with `#`. */
  constructor(database: Database, prefix: `#${string}`, { lease = 5_000 }: OutboxOptions = {}) {
    this.#database = database
    this.#prefix = prefix
    this.#lease = lease
  }

  channelOf(feed: string): string {
    return this.#prefix + feed
  }

  /** For a batch, right after the statement that changes the feed: marks the change if that statement changed a row. */
  mark(feed: string): Statement {
    return {
      sql: `INSERT INTO pending (channel, version, lease)
            SELECT :channel, version, ${NOW} + :lease FROM changes WHERE changes() > 0 RETURNING version`,
      args: { channel: this.channelOf(feed), lease: this.#lease },
    }
  }

  /** The change was announced. */
  async announced(feed: string, version: number): Promise<void> {
    await this.#database.query('DELETE FROM pending WHERE channel = :channel AND version = :version', {
      channel: this.channelOf(feed),
      version,
    })
  }

  /**
   * Nobody is about to announce the change any more. From now on its row goes with a snapshot only, which will contain what is
   * older. So the older rows go at once, and there is one for each feed, however long nothing can be announced.
   */
  async failed(feed: string, version: number): Promise<void> {
    const args = { channel: this.channelOf(feed), version }
    await this.#database.batch([
      { sql: 'UPDATE pending SET lease = 0 WHERE channel = :channel AND version = :version', args },
      { sql: 'DELETE FROM pending WHERE channel = :channel AND version < :version', args },
    ])
  }

  /** The feeds with changes whose lease has run out. Their leases begin anew, for whoever asks. */
  async claim(): Promise<string[]> {
    const rows = await this.#database.query(
      `UPDATE pending SET lease = ${NOW} + :lease WHERE lease < ${NOW} AND substr(channel, 1, length(:prefix)) = :prefix RETURNING channel`,
      { lease: this.#lease, prefix: this.#prefix },
    )
    return [...new Set(rows.map(({ channel }) => String(channel).slice(this.#prefix.length)))]
  }

  /** Nothing came of a claim: somebody else may try. */
  async release(feeds: readonly string[]): Promise<void> {
    await this.#database.batch(
      feeds.map((feed) => ({
        sql: 'UPDATE pending SET lease = 0 WHERE channel = :channel',
        args: { channel: this.channelOf(feed) },
      })),
    )
  }

  /** A snapshot of this version was announced, and with it every change up to there. */
  async covered(feed: string, version: number): Promise<void> {
    await this.#database.query('DELETE FROM pending WHERE channel = :channel AND version <= :version', {
      channel: this.channelOf(feed),
      version,
    })
  }
}

/** What the statement of `mark` returned. */
export function markIn(rows: readonly Row[] | undefined): Mark {
  const [row] = rows ?? []
  return row ? Number(row['version']) : null
}
