import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Database, DatabaseError, type DatabaseErrorKind } from './database'

/** A folder of its own, gone after the test. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'database-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function open(url: string): Database {
  const database = new Database({ url })
  onTestFinished(() => database.close())
  return database
}

async function kindOf(attempt: Promise<unknown>): Promise<DatabaseErrorKind> {
  const error = await attempt.then(
    () => null,
    (cause: unknown) => cause,
  )
  if (!(error instanceof DatabaseError)) throw new Error('It did not fail as a database does.', { cause: error })
  return error.kind
}

describe('a database', () => {
  it('is made at first use, with its folder, and not before', async () => {
    const file = join(folder(), 'a', 'b', 'demo.db')
    const database = open(`file:${file}`)
    expect(() => statSync(file)).toThrow('ENOENT')
    await database.query('SELECT 1')
    expect(statSync(file).isFile()).toBe(true)
  })

  it('takes a file: URL with slashes, too', async () => {
    const file = join(folder(), 'with space', 'demo.db')
    await open(`file://${file.replaceAll(' ', '%20')}`).open()
    expect(statSync(file).isFile()).toBe(true)
  })

  it('keeps what was committed, and its tables, when it is opened again', async () => {
    const url = `file:${join(folder(), 'demo.db')}`
    const first = open(url)
    await first.batch([{ sql: 'UPDATE changes SET version = :version', args: { version: 7 } }])
    await first.close()
    expect(await open(url).query('SELECT version FROM changes')).toMatchObject([{ version: 7 }])
  })

  it('runs all of a batch or none of it', async () => {
    const database = open(':memory:')
    const batch = database.batch([{ sql: 'UPDATE changes SET version = 9' }, { sql: 'INSERT INTO nowhere VALUES (1)' }])
    expect(await kindOf(batch)).toBe('failed')
    expect(await database.query('SELECT version FROM changes')).toMatchObject([{ version: 0 }])
  })

  it('of a newer version is left alone, and says so', async () => {
    const url = `file:${join(folder(), 'demo.db')}`
    await open(url).batch([{ sql: 'UPDATE schema SET version = 99' }])
    const database = open(url)
    expect(await kindOf(database.query('SELECT 1'))).toBe('newer')
    await expect(database.open()).rejects.toThrow(/version 99.*DATABASE_URL/)
  })

  it('that cannot be made says so, and is tried again at the next use', async () => {
    const path = folder()
    writeFileSync(join(path, 'taken'), '')
    const database = open(`file:${join(path, 'taken', 'demo.db')}`)
    expect(await kindOf(database.open())).toBe('unwritable')
    rmSync(join(path, 'taken'))
    await database.open()
  })

  it('whose place is taken by a folder says so', async () => {
    const path = join(folder(), 'demo.db')
    mkdirSync(path)
    expect(await kindOf(open(`file:${path}`).open())).toBe('unwritable')
  })

  it('that is full says so, and keeps what it has', async () => {
    const database = open(`file:${join(folder(), 'demo.db')}`)
    await database.query('PRAGMA max_page_count = 1')
    const large = `INSERT INTO answers (id, question, text, state, took, created) SELECT 'a', hex(randomblob(100000)), '', '', 0, 0`
    expect(await kindOf(database.batch([{ sql: large }]))).toBe('unwritable')
    expect(await database.query('SELECT * FROM answers')).toEqual([])
  })

  it('that is no database says so', async () => {
    const file = join(folder(), 'demo.db')
    writeFileSync(file, 'This is a letter, and no database. '.repeat(100))
    expect(await kindOf(open(`file:${file}`).open())).toBe('failed')
  })

  it('on a server that does not answer says so', async () => {
    // Nobody listens to the port for discarding.
    expect(await kindOf(open('http://127.0.0.1:9').open())).toBe('unreachable')
  })

  it('takes two processes at once', async () => {
    const url = `file:${join(folder(), 'demo.db')}`
    const [one, two] = [open(url), open(url)]
    const next = { sql: 'UPDATE changes SET version = version + 1' }
    await Promise.all(Array.from({ length: 50 }, (_, n) => (n % 2 ? one : two).batch([next])))
    expect(await one.query('SELECT version FROM changes')).toMatchObject([{ version: 50 }])
  })

  it('that several processes make at once is made once, and none of them fails', { timeout: 60_000 }, async () => {
    const path = folder()
    // All of them begin at the same time, with one file after the other.
    const program = `
      import { Database } from './server/store/database.ts'
      import { setTimeout as sleep } from 'node:timers/promises'
      const [, path, began] = process.argv
      for (let n = 0; n < 30; n++) {
        await sleep(Math.max(0, Number(began) + n * 50 - Date.now()))
        const database = new Database({ url: 'file:' + path + '/' + n + '.db' })
        await database.batch([{ sql: 'UPDATE changes SET version = version + 1' }])
      }`
    const began = String(Date.now() + 5_000)
    const processes = Array.from({ length: 4 }, () => {
      const args = ['--import', 'tsx', '--input-type=module', '-e', program, path, began]
      const child = spawn(process.execPath, args, {
        cwd: import.meta.dirname + '/../..',
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    })
    expect(await Promise.all(processes.map(({ stderr }) => text(stderr)))).toEqual(processes.map(() => ''))
    for (let n = 0; n < 30; n++)
      expect(await open(`file:${path}/${n}.db`).query('SELECT version FROM changes')).toEqual([{ version: 4 }])
  })
})
