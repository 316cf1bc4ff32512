// @vitest-environment node
/** What the types cannot check about the texts: their placeholders, and whether the page uses them all. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { fill } from '../i18n'
import { en } from './en'
import { zhCN } from './zh-CN'

interface Tree {
  [key: string]: string | Tree
}

/** Every text by its key, `a.b.c`. */
function flat(tree: Tree, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([name, value]) =>
      typeof value === 'string' ? [[prefix + name, value] as const] : [...flat(value, `${prefix}${name}.`)],
    ),
  )
}

const locales = { en: flat(en), 'zh-CN': flat(zhCN) }
const keys = [...locales.en.keys()]
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g))].sort()

const client = fileURLToPath(new URL('../..', import.meta.url))
const sources = readdirSync(client, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.(ts|vue)$/.test(file) && !/locales|\.test\.ts$/.test(file))
  .map((file) => ({ file, source: readFileSync(client + file, 'utf8') }))

/** Names given by the server, which the page may translate. */
const shared = readdirSync(`${client}../shared/demos`)
  .map((file) => readFileSync(`${client}../shared/demos/${file}`, 'utf8'))
  .join('\n')

/** The first argument of every `t(…)` in a source. */
function firstArguments(source: string): string[] {
  return [...source.matchAll(/\bt\(/g)].map(({ index }) => {
    const start = index + 2
    let depth = 0
    for (let end = start; end < source.length; end++) {
      const character = source.charAt(end)
      if (depth === 0 && /[,)]/.test(character)) return source.slice(start, end)
      if (/[([{]/.test(character)) depth++
      else if (/[)\]}]/.test(character)) depth--
    }
    return source.slice(start)
  })
}

/** The keys that an argument names: `'a.b'` is one, and `` `a.${b}` `` stands for every key with a name there. */
function named(argument: string): RegExp[] {
  // Operands of comparisons are not keys.
  return [...argument.replace(/[=!]== '[^']*'/g, '').matchAll(/'([\w.-]+)'|`([^`]*)`/g)].map(
    ([, key, template = '']) => {
      const pattern = (key ?? template).replaceAll('.', '\\.').replace(/\$\{[^}]*\}/g, '([\\w-]+)')
      return new RegExp(`^${pattern}$`)
    },
  )
}

const uses = sources.flatMap(({ file, source }) =>
  firstArguments(source).flatMap((argument) => named(argument).map((pattern) => ({ file, pattern }))),
)

describe('the languages', () => {
  it('have the same texts', () => {
    expect([...locales['zh-CN'].keys()].sort()).toEqual(keys.toSorted())
  })

  it('have the same placeholders in each', () => {
    for (const [key, text] of locales.en)
      expect(placeholders(locales['zh-CN'].get(key) ?? ''), key).toEqual(placeholders(text))
  })

  it.each(['en', 'zh-CN'] as const)('have no empty text, and placeholders that can be filled: %s', (locale) => {
    for (const [key, text] of locales[locale]) {
      expect(text.trim(), key).not.toBe('')
      const values = Object.fromEntries(placeholders(text).map((name) => [name.slice(1, -1), 7]))
      expect(fill(text, values), key).not.toMatch(/[{}]/)
    }
  })
})

describe('the page', () => {
  it('uses texts, which this test finds', () => {
    expect(uses.length).toBeGreaterThan(30)
  })

  it('uses no missing text', () => {
    const unknown = uses.filter(({ pattern }) => !keys.some((key) => pattern.test(key)))
    expect(unknown).toEqual([])
  })

  it('uses every text', () => {
    const all = sources.map(({ source }) => source).join('\n')
    const words = new Set((all + shared).match(/[\w-]+/g))
    const unused = keys.filter((key) => {
      // Named by the server: see useServerError.
      if (key.startsWith('serverError.')) return false
      // A key outside of a call reaches `t` through a variable, and so does a name used in a template literal.
      const matches = uses.map(({ pattern }) => pattern.exec(key)).filter((match) => match !== null)
      return !all.includes(`'${key}'`) && !matches.some(([, ...names]) => names.every((name) => words.has(name)))
    })
    expect(unused).toEqual([])
  })
})
