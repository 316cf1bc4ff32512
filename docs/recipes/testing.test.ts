/** The test that testing.md shows passes, and finds a component that is broken. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { workspace, writeRecipe } from './testingRecipe'

const vitest = join(fileURLToPath(import.meta.resolve('vitest/package.json')), '../vitest.mjs')

it.each([
  ['passes', (code: string) => code, 0, 'Tests  4 passed'],
  ['fails if the component forgets a price', (code: string) => code.replace('...prices,', ''), 1, '1 failed'],
])('it %s', { timeout: 60_000 }, (_name, edit, status, summary) => {
  const folder = workspace()
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const project = writeRecipe(folder, 'testing.md', edit)
  const { stdout, ...result } = spawnSync(process.execPath, [vitest, 'run'], {
    cwd: project,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  expect(stdout).toContain(summary)
  expect(result.status).toBe(status)
})
