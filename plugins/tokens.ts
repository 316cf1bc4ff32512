import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { HighlighterCore, ThemeRegistration } from 'shiki/core'
import type { Token, TokenKind } from '../client/site/code'

export type Language = 'typescript' | 'vue'

/** TextMate scopes by kind. The longer scope wins: `keyword.operator` is punctuation although `keyword` is not. */
const SCOPES: Record<TokenKind, string[]> = {
  comment: [
    'comment',
    'punctuation.definition.comment',
    // Tags and types within documentation comments.
    ...['storage', 'punctuation', 'variable', 'keyword', 'constant', 'entity.name.type'].map(
      (scope) => `comment ${scope}`,
    ),
  ],
  keyword: ['keyword', 'storage', 'keyword.operator.new', 'keyword.operator.expression', 'variable.language'],
  string: ['string', 'punctuation.definition.string', 'constant.character.escape', 'keyword.operator.quantifier'],
  constant: ['constant'],
  name: ['entity.name.function', 'entity.name.type', 'support.class', 'support.function', 'support.type'],
  tag: ['entity.name.tag'],
  attribute: ['entity.other.attribute-name'],
  punctuation: ['punctuation', 'meta.brace', 'keyword.operator', 'storage.type.function.arrow', 'invalid.illegal'],
}
const PLAIN = 'plain'

/** A theme whose colours are the names of our kinds, so that a token's colour is its kind. */
const theme: ThemeRegistration = {
  name: 'kinds',
  fg: PLAIN,
  bg: PLAIN,
  settings: [
    { settings: { foreground: PLAIN } },
    // Code in a template literal's `${}` is not a string.
    { scope: ['meta.template.expression', 'meta.embedded'], settings: { foreground: PLAIN } },
    ...Object.entries(SCOPES).map(([foreground, scope]) => ({ scope, settings: { foreground } })),
  ],
}

/** No limit. By default, a line that takes half a second is left half coloured, as happens to a process's first line on a busy machine. */
const OPTIONS = { theme: 'kinds', tokenizeTimeLimit: 0 }

const { version } = createRequire(import.meta.url)('shiki/package.json') as { version: string }

/**
 * The source as lines of tokens. The grammars take about a second to compile, once per process, so results are cached in `cache`,
 * by the hash of all their inputs.
 *
 * @param cache a folder; it is created, and may be deleted at any time
 */
export async function tokensOf(source: string, language: Language, cache: string): Promise<Token[][]> {
  const key = createHash('sha256')
    .update(JSON.stringify([version, theme, OPTIONS, language, source]))
    .digest('hex')
  const file = `${cache}/${key}.json`
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Token[][]
  } catch {
    // Missing or incomplete.
  }
  const lines = await tokenize(source, language)
  await mkdir(cache, { recursive: true })
  // Renamed into place when complete, because another process may be reading it.
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, JSON.stringify(lines))
  await rename(draft, file)
  return lines
}

let highlighter: Promise<HighlighterCore> | undefined

async function tokenize(source: string, language: Language): Promise<Token[][]> {
  highlighter ??= createHighlighter()
  const lines = (await highlighter).codeToTokensBase(source, { lang: language, ...OPTIONS })
  return lines.map((tokens) => {
    const merged: Token[] = []
    for (const { content, color = PLAIN } of tokens) append(merged, color, content)
    return merged
  })
}

/** Appends text, to the last token if it looks the same. Spaces look the same as everything. */
function append(tokens: Token[], color: string, text: string): void {
  const last = tokens.at(-1)
  const [lastColor, lastText] = typeof last === 'string' ? [PLAIN, last] : (last ?? [])
  const joins = lastText !== undefined && (lastColor === color || text.trim() === '')
  if (joins) tokens.pop()
  const [kind, whole] = joins ? [lastColor, lastText + text] : [text.trim() === '' ? PLAIN : color, text]
  tokens.push(kind === PLAIN ? whole : [kind as TokenKind, whole])
}

async function createHighlighter(): Promise<HighlighterCore> {
  const [{ createHighlighterCore }, { createJavaScriptRegexEngine }] = await Promise.all([
    import('shiki/core'),
    import('shiki/engine/javascript'),
  ])
  return createHighlighterCore({
    themes: [theme],
    langs: [import('shiki/langs/typescript.mjs'), import('shiki/langs/vue.mjs')],
    engine: createJavaScriptRegexEngine(),
  })
}
