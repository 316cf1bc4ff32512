/** The code of the recipes compiles, names its files, and is the same in both languages. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blocksOf, pages, textOf, workspace, writeRecipe } from './testingRecipe'

const vueTsc = fileURLToPath(import.meta.resolve('vue-tsc/bin/vue-tsc.js'))
const english = pages().filter((page) => !page.endsWith('.zh-CN.md'))

let folder: string

beforeAll(() => {
  folder = workspace()
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** The compiler's errors in the projects of the folder; empty if there are none. */
function compile(): string {
  try {
    execFileSync(process.execPath, [vueTsc], { cwd: folder })
    return ''
  } catch (error) {
    return String((error as { stdout: Buffer }).stdout)
  }
}

it(
  'the code of all pages compiles under the strictest flags, and a mistake would be found',
  { timeout: 120_000 },
  () => {
    // Nuxt's code relies on its own imports: `npm run test:nuxt` has Nuxt check it.
    for (const page of english) if (page !== 'nuxt.md') writeRecipe(folder, page)
    writeRecipe(folder, 'pinia.md', (code) => code.replace('price.value }}', 'price.worth }}'), 'mistaken')
    expect(compile().trim().split('\n')).toEqual([
      expect.stringMatching(/^mistaken\/src\/App.vue\(\d+,\d+\): .*'worth'/),
    ])
  },
)

describe.each(english)('%s', (page) => {
  const chinese = page.replace(/\.md$/, '.zh-CN.md')

  it('says above each file what it is called', () => {
    for (const { file, above } of blocksOf(page)) if (file) expect(above).toContain(`\`${file}\``)
  })

  it('has the same code in Chinese, but for its comments', () => {
    const codeOf = (name: string): unknown[] =>
      blocksOf(name).map(({ language, file, code }) => ({
        language,
        file,
        code: code.replace(/ *(\/\/|# |\/\*\*|<!-- ).*$/gm, ''),
      }))
    expect(codeOf(chinese)).toEqual(codeOf(page))
  })

  it('links to pages and files that are there', () => {
    for (const name of [page, chinese])
      for (const [, target = '', fragment] of textOf(name).matchAll(/\]\((?!https?:)([^)#]*)#?([^)]*)\)/g)) {
        const file = new URL(target || name, import.meta.url)
        expect(existsSync(file), `${name} links to ${target}`).toBe(true)
        if (fragment && file.pathname.endsWith('.md'))
          expect(headings(readFileSync(file, 'utf8')), `${name} links to ${target}#${fragment}`).toContain(
            decodeURI(fragment),
          )
      }
  })
})

/** The anchors of a page, as GitHub makes them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
