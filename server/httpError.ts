/** An error that the client may read: the app answers it as `{ error: { code, message } }`. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  constructor(
    readonly status: number,
    readonly code: string,
    /** Names the field, its limit and what the client can do. `hint` says what only the operator can do. */
    message: string,
    readonly headers: Record<string, string> = {},
    /** For the operator. */
    readonly hint: Hint | null = null,
  ) {
    super(message)
  }
}

/** The setting behind an error, and what to tell the operator. */
export interface Hint {
  setting: string
  text: string
}
