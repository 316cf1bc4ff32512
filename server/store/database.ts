import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Client, InArgs, ResultSet } from '@libsql/client'
import { MIGRATIONS } from './migrations'

export interface DatabaseOptions {
  /** `file:` and a path for an SQLite file, `libsql:`, `http(s):` or `ws(s):` for a libSQL server, or `:memory:`. */
  url: string
  /** For a libSQL server. */
  authToken?: string | null
}

/**
 * - `unwritable`: the file cannot be created, opened or written
 * - `newer`: a newer version of this program has changed the tables
 * - `unreachable`: the libSQL server does not answer, or refuses
 * - `failed`: anything else, such as a file that is no database
 */
export type DatabaseErrorKind = 'unwritable' | 'newer' | 'unreachable' | 'failed'

export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  constructor(
    readonly kind: DatabaseErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export interface Statement {
  sql: string
  /** By name: `:list` is `args.list`. */
  args?: Exclude<InArgs, readonly unknown[]>
}

/** The database's clock in epoch milliseconds, in SQL: one for all processes that share it. */
export const NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

/** Milliseconds that a statement waits for another process, while nothing else here runs. A transaction takes a few. */
const BUSY_TIMEOUT = 2_000

/** Milliseconds during which a file that another process is making is tried again. */
const OPEN_TIMEOUT = 10_000

/** By column. The tables have texts and integers only. */
export type Row = Readonly<Record<string, string | number | null>>

/**
 * An SQLite file or a libSQL server, opened at first use: the pages that need no database work without one.
 *
 * All changes go through `batch`, one transaction: with a file the driver is synchronous, and a transaction that awaits in between
 * would block everyone else.
 */
export class Database {
  readonly #options: DatabaseOptions
  #opening: Promise<Client> | undefined

  constructor(options: DatabaseOptions) {
    this.#options = options
  }

  /** Opens the database and brings its tables up to date. What failed is tried again the next time. @throws DatabaseError */
  async open(): Promise<void> {
    await this.#client()
  }

  /** @throws DatabaseError */
  async query(sql: string, args: Statement['args'] = {}): Promise<Row[]> {
    const client = await this.#client()
    return rowsOf(await explained(() => client.execute({ sql, args })))
  }

  /** Runs all of them or none, and resolves to the rows of each. @throws DatabaseError */
  async batch(statements: readonly Statement[]): Promise<Row[][]> {
    const client = await this.#client()
    const results = await explained(() =>
      client.batch(
        statements.map(({ sql, args = {} }) => ({ sql, args })),
        'write',
      ),
    )
    return results.map(rowsOf)
  }

  async close(): Promise<void> {
    const client = await this.#opening?.catch(() => undefined)
    client?.close()
  }

  #client(): Promise<Client> {
    this.#opening ??= open(this.#options).catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }
}

function rowsOf({ columns, rows }: ResultSet): Row[] {
  return rows.map((row) => Object.fromEntries(columns.map((name) => [name, row[name] as string | number | null])))
}

async function open({ url, authToken }: DatabaseOptions): Promise<Client> {
  const isFile = url.startsWith('file:')
  return explained(async () => {
    // Its native part is loaded only where it is needed.
    const { createClient } = await import('@libsql/client')
    if (isFile) await mkdir(dirname(pathOf(url)), { recursive: true })
    const deadline = performance.now() + OPEN_TIMEOUT
    for (;;) {
      const client = createClient({ url, timeout: BUSY_TIMEOUT, ...(authToken ? { authToken } : {}) })
      try {
        // Readers are not blocked by a writer, and a commit is one write.
        if (isFile) await client.execute('PRAGMA journal_mode = WAL')
        await migrate(client)
        return client
      } catch (error) {
        client.close()
        // SQLite does not wait for its timeout where another process changes the journal.
        const isBusy = (error as { code?: string }).code === 'SQLITE_BUSY'
        if (!isBusy || performance.now() > deadline) throw error
        await sleep(20 * (1 + Math.random()))
      }
    }
  })
}

/** A path that is relative is so to the working directory, for SQLite too. */
function pathOf(url: string): string {
  const [address = ''] = url.split('?')
  return address.startsWith('file://') ? fileURLToPath(address) : address.slice('file:'.length)
}

async function migrate(client: Client): Promise<void> {
  await client.execute('CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL)')
  const version = await versionOf(client)
  if (version > MIGRATIONS.length)
    throw new DatabaseError(
      'newer',
      `The database has version ${version}, and this program knows versions up to ${MIGRATIONS.length}: update the program, or set DATABASE_URL to another database.`,
    )
  if (version === MIGRATIONS.length) return
  const steps = [
    ...MIGRATIONS.slice(version).flat(),
    'DELETE FROM schema',
    { sql: 'INSERT INTO schema VALUES (?)', args: [MIGRATIONS.length] },
  ]
  try {
    await client.batch(steps, 'write')
  } catch (error) {
    // Another process was quicker: what it made cannot be made again.
    if ((await versionOf(client)) !== MIGRATIONS.length) throw error
  }
}

async function versionOf(client: Client): Promise<number> {
  const { rows } = await client.execute('SELECT version FROM schema')
  return Number(rows[0]?.['version'] ?? 0)
}

const UNWRITABLE =
  /^(EACCES|EPERM|EROFS|ENOTDIR|ENOENT|EEXIST|ENOSPC|SQLITE_(READONLY|CANTOPEN|FULL|IOERR|PERM|BUSY|LOCKED).*)$/

async function explained<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    if (cause instanceof DatabaseError) throw cause
    const { code = '', message = '' } = cause as { code?: string; message?: string }
    // What the driver throws for a file that it cannot open has no code.
    if (UNWRITABLE.test(code) || message.startsWith('ConnectionFailed'))
      throw new DatabaseError('unwritable', `The database cannot be written (${message}): nothing was changed.`, {
        cause,
      })
    if (cause instanceof TypeError || /^(HRANA|SERVER|HTTP)/.test(code))
      throw new DatabaseError('unreachable', `The database server does not answer (${message}).`, { cause })
    throw new DatabaseError('failed', `The database failed (${message}).`, { cause })
  }
}
