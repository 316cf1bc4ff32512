/**
 * What brings the tables from each version to the next, from an empty database on. Only ever append: databases out there have been
 * through the earlier ones.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [
  [
    // One number for every change, whatever it changes: rows and events carry it, so that of two the newer one is known.
    'CREATE TABLE changes (version INTEGER NOT NULL)',
    'INSERT INTO changes VALUES (0)',

    `CREATE TABLE messages (
      user TEXT NOT NULL, id TEXT NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, time INTEGER NOT NULL,
      read INTEGER NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,
      PRIMARY KEY (user, id)
    ) WITHOUT ROWID`,
    'CREATE INDEX messages_in_order ON messages (user, created)',

    // What was removed stays for a while without its title, so that a late repetition does not bring it back.
    `CREATE TABLE todos (
      list TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, completed INTEGER NOT NULL, removed INTEGER NOT NULL,
      created INTEGER NOT NULL, version INTEGER NOT NULL,
      PRIMARY KEY (list, id)
    ) WITHOUT ROWID`,
    'CREATE INDEX todos_in_order ON todos (list, removed, created)',
    'CREATE INDEX todos_removed ON todos (removed, version)',

    `CREATE TABLE answers (
      id TEXT PRIMARY KEY, question TEXT NOT NULL, text TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, model TEXT,
      first_word INTEGER, took INTEGER NOT NULL, created INTEGER NOT NULL
    ) WITHOUT ROWID`,
    'CREATE INDEX answers_in_order ON answers (created)',
  ],
  [
    // Changes that have not been announced, and until when somebody is about to (outbox.ts).
    `CREATE TABLE pending (
      channel TEXT NOT NULL, version INTEGER NOT NULL, lease INTEGER NOT NULL,
      PRIMARY KEY (channel, version)
    ) WITHOUT ROWID`,

    // When the process that writes the answer last gave a sign of life, whether it shall stop, and up to where in its channel the text reaches.
    'ALTER TABLE answers ADD COLUMN beat INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE answers ADD COLUMN stop INTEGER NOT NULL DEFAULT 0',
    'ALTER TABLE answers ADD COLUMN position TEXT',
  ],
]
