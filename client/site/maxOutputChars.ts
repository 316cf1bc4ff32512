/**
 * How many characters of a stream a page keeps, the newest ones. Browsers can lay out a text area of this size sixty times a second.
 * Used as `limit`.
 */
export const MAX_OUTPUT_CHARS = 8_192
