import type { Answer, AnswerState, FailureReason } from '../../../shared/demos/answer'
import type { Database } from '../../store/database'

/** Answers that are kept: the newest. */
const MAX_ANSWERS = 500

/** What is kept of the answers: their questions, how far they came, and how they ended. */
export class AnswerStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** False if there is one of this id already. */
  async begin({ id, question, model }: Answer): Promise<boolean> {
    const [rows] = await this.#database.batch([
      {
        sql: `INSERT INTO answers (id, question, text, state, reason, model, first_word, took, created)
              VALUES (:id, :question, '', 'streaming', NULL, :model, NULL, 0, :created) ON CONFLICT DO NOTHING RETURNING id`,
        args: { id, question, model, created: Date.now() },
      },
      {
        sql: `DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY created DESC LIMIT -1 OFFSET ${MAX_ANSWERS})`,
      },
    ])
    return rows?.length === 1
  }

  async save({ id, text, state, reason, firstWord, took }: Answer): Promise<void> {
    await this.#database.query(
      `UPDATE answers SET text = :text, state = :state, reason = :reason, first_word = :firstWord, took = :took WHERE id = :id`,
      { id, text, state, reason, firstWord, took },
    )
  }

  async find(id: string): Promise<Answer | null> {
    const [row] = await this.#database.query('SELECT * FROM answers WHERE id = :id', { id })
    if (!row) return null
    return {
      id,
      question: String(row['question']),
      text: String(row['text']),
      state: row['state'] as AnswerState,
      reason: row['reason'] as FailureReason | null,
      model: row['model'] as string | null,
      firstWord: row['first_word'] as number | null,
      took: Number(row['took']),
    }
  }
}
