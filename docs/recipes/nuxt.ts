/**
 * Follows nuxt.md in an empty Nuxt project, and checks the result in a browser: `npm run test:nuxt`. Nuxt needs Node 22, so npx
 * installs a newer Node, and a few hundred megabytes, so this is not part of `npm test`.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from '@playwright/test'
import { findChromium } from '../../e2e/chromium'
import { blocksOf, freePort } from './testingRecipe'

const root = fileURLToPath(new URL('../..', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'nuxt-'))

/** Runs a command of the project under Node 24. */
function run(command: string): void {
  console.log(`$ ${command}`)
  execFileSync('npx', ['-y', '-p', 'node@24', '-c', command], { cwd: project, stdio: 'inherit', timeout: 600_000 })
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(project, file)), { recursive: true })
  writeFileSync(join(project, file), text)
}

try {
  // The output of `npm create nuxt`, which downloads its template from a host that not every machine can reach.
  write('package.json', '{ "private": true, "type": "module" }')
  write('nuxt.config.ts', "export default defineNuxtConfig({ telemetry: false, compatibilityDate: '2026-11-01' })")
  const references = ['app', 'server', 'shared', 'node'].map((name) => ({ path: `./.nuxt/tsconfig.${name}.json` }))
  write('tsconfig.json', JSON.stringify({ files: [], references }))
  for (const { file, code } of blocksOf('nuxt.md')) if (file) write(file, code)
  mkdirSync(join(project, 'app/composables'))
  cpSync(join(root, 'client/composables/useEventSource.ts'), join(project, 'app/composables/useEventSource.ts'))
  const filter = (name: string): boolean => !name.includes('.test.')
  cpSync(join(root, 'server/sse'), join(project, 'server/sse'), { recursive: true, filter })

  run(
    'npm install --no-audit --no-fund --loglevel=error nuxt@4 vue@3 vue-router@5 @types/node typescript@~6.0 vue-tsc@~3.3',
  )
  run('node node_modules/nuxt/bin/nuxt.mjs typecheck')
  run('node node_modules/nuxt/bin/nuxt.mjs build')
  await look()
  console.log('nuxt: 1 passed, 0 failed')
} finally {
  rmSync(project, { recursive: true, maxRetries: 5 })
}

/** The server renders `idle`, the browser connects without errors, and a sent message arrives. */
async function look(): Promise<void> {
  const port = await freePort()
  const env = { ...process.env, PORT: String(port), HOST: '127.0.0.1' }
  const server = spawn(process.execPath, ['.output/server/index.mjs'], { cwd: project, env, stdio: 'inherit' })
  const url = `http://127.0.0.1:${port}/`
  const browser = await chromium.launch({
    executablePath: findChromium() ?? '',
    args: ['--no-sandbox', '--disable-gpu'],
  })
  try {
    for (let n = 0; n < 100 && !(await fetch(url).then(Boolean, () => false)); n++) await sleep(100)
    assert.match(await (await fetch(url)).text(), /<p>idle<\/p>/)
    const page = await browser.newPage()
    const problems: string[] = []
    page.on('console', (message) => problems.push(message.text()))
    page.on('pageerror', (error) => problems.push(String(error)))
    await page.goto(url)
    await page.getByText('open').waitFor()
    await page.getByLabel('News').fill('hello')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText('hello').waitFor()
    assert.deepEqual(problems, [])
  } finally {
    await browser.close()
    server.kill()
    if (server.exitCode === null) await once(server, 'exit')
  }
}
