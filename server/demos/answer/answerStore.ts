import type { Answer, AnswerState, FailureReason } from '../../../shared/demos/answer'
import type { Position } from '../../sse/eventLog'
import { NOW, type Database } from '../../store/database'

/** Answers that are kept: the newest. */
const MAX_ANSWERS = 500

/** An answer as it is kept. */
export interface StoredAnswer {
  answer: Answer
  /** Of the last event in its channel whose text is in it; null before the first. */
  position: Position | null
}

/**
 * What is kept of the answers: their questions, how far they came, and how they ended.
 *
 * Whatever ends one, it ends once. The process that writes it gives a sign of life now and then; without one it counts as dead, and
 * the answer as interrupted.
 */
export class AnswerStore {
  readonly #database: Database
  readonly #patience: number

  /** @param patience Milliseconds without a sign of life. */
  constructor(database: Database, patience: number) {
    this.#database = database
    this.#patience = patience
  }

  /** False if there is one of this id already. */
  async begin({ id, question, model }: Answer): Promise<boolean> {
    const [rows] = await this.#database.batch([
      {
        sql: `INSERT INTO answers (id, question, text, state, reason, model, first_word, took, created, beat)
              VALUES (:id, :question, '', 'streaming', NULL, :model, NULL, 0, :created, ${NOW}) ON CONFLICT DO NOTHING RETURNING id`,
        args: { id, question, model, created: Date.now() },
      },
      {
        sql: `DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY created DESC LIMIT -1 OFFSET ${MAX_ANSWERS})`,
      },
    ])
    return rows?.length === 1
  }

  /** Keeps what there is so far, and is a sign of life. Says whether to continue. */
  async beat({
    answer: { id, text, firstWord, took },
    position,
  }: StoredAnswer): Promise<'continue' | 'stop' | 'ended'> {
    const [row] = await this.#database.query(
      `UPDATE answers SET text = :text, first_word = :firstWord, took = :took, position = :position, beat = ${NOW}
       WHERE id = :id AND state = 'streaming' RETURNING stop`,
      { id, text, firstWord, took, position },
    )
    if (!row) return 'ended'
    return row['stop'] === 1 ? 'stop' : 'continue'
  }

  /** Keeps how it ended. False if it had ended already. */
  async end({ answer, position }: StoredAnswer): Promise<boolean> {
    const { id, text, state, reason, firstWord, took } = answer
    const rows = await this.#database.query(
      `UPDATE answers SET text = :text, state = :state, reason = :reason, first_word = :firstWord, took = :took, position = :position
       WHERE id = :id AND state = 'streaming' RETURNING id`,
      { id, text, state, reason, firstWord, took, position },
    )
    return rows.length === 1
  }

  /** Asks whoever writes it to stop. */
  async stop(id: string): Promise<void> {
    await this.#database.query(`UPDATE answers SET stop = 1 WHERE id = :id AND state = 'streaming'`, { id })
  }

  async find(id: string): Promise<StoredAnswer | null> {
    const isDead = `state = 'streaming' AND beat < ${NOW} - :patience`
    const args = { id, patience: this.#patience }
    const [row] = await this.#database.query(`SELECT *, ${isDead} AS dead FROM answers WHERE id = :id`, args)
    if (!row) return null
    if (row['dead'] === 1) {
      await this.#database.query(`UPDATE answers SET state = 'interrupted' WHERE id = :id AND ${isDead}`, args)
      return this.find(id)
    }
    const answer = {
      id,
      question: String(row['question']),
      text: String(row['text']),
      state: row['state'] as AnswerState,
      reason: row['reason'] as FailureReason | null,
      model: row['model'] as string | null,
      firstWord: row['first_word'] as number | null,
      took: Number(row['took']),
    }
    return { answer, position: row['position'] as Position | null }
  }
}
