/** Source text as the build leaves it for a code panel: in lines, each in tokens, so that the page needs no highlighter. */

/** What a token is, and the class that colours it. Names are those of functions and types. */
export type TokenKind = 'comment' | 'keyword' | 'string' | 'constant' | 'name' | 'tag' | 'attribute' | 'punctuation'

/** Text without a kind is as it is. */
export type Token = string | readonly [TokenKind, string]

/** What `import code from './file.ts?code'` gives. */
export interface Code {
  /** From the root of the repository: `client/demos/timestamps/Example.vue`. */
  file: string
  lines: readonly (readonly Token[])[]
}

/** The file's text, every character of it. */
export function textOf({ lines }: Code): string {
  return lines.map((line) => line.map((token) => (typeof token === 'string' ? token : token[1])).join('')).join('\n')
}
