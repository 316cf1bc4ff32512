/** An error that the client may read: the app answers it as `{ error: { code, message } }`. */
export class HttpError extends Error {
  override readonly name = 'HttpError'
  constructor(
    readonly status: number,
    readonly code: string,
    /** Names the field, its limit and the mend. */
    message: string,
    readonly headers: Record<string, string> = {},
  ) {
    super(message)
  }
}
