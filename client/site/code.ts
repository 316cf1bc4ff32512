/** Source code for a code panel, split into lines of tokens at build time, so the page needs no highlighter. */

/** The kind of a token, also the CSS class that colours it. `name` is the name of a function or a type. */
export type TokenKind = 'comment' | 'keyword' | 'string' | 'constant' | 'name' | 'tag' | 'attribute' | 'punctuation'

/** Plain text is a string. */
export type Token = string | readonly [TokenKind, string]

/** The result of `import code from './file.ts?code'`. */
export interface Code {
  /** Relative to the repository root: `client/demos/timestamps/Example.vue`. */
  file: string
  lines: readonly (readonly Token[])[]
}

/** The complete text of the file. */
export function textOf({ lines }: Code): string {
  return lines.map((line) => line.map((token) => (typeof token === 'string' ? token : token[1])).join('')).join('\n')
}
