/**
 * Characters of a stream that a page keeps, the newest: a browser lays out a text area of that size sixty times a second, whatever
 * comes. Useful as `limit`.
 */
export const MAX_OUTPUT_CHARS = 8_192
