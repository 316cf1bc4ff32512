/** Runs the browser tests in all installed engines, and installs the required ones first: Chromium, and with `CI` all. */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { CHROMIUM_ONLY, ENGINES } from './engine'
import { provide, SOURCES } from './provide'

const isCI = Boolean(process.env['CI'])
provide(isCI ? ENGINES : ['chromium'])
const missing = ENGINES.filter((name) => SOURCES[name].find() === null)
const suites = readdirSync(new URL('.', import.meta.url)).filter((file) => file.endsWith('.spec.ts')).length
for (const name of missing) {
  const count = name === 'chromium' ? suites : suites - Object.keys(CHROMIUM_ONLY).length
  console.warn(`Skipped in ${name}: ${count} suites. To run them, ${SOURCES[name].hint}.`)
}
if (missing.length === ENGINES.length || (isCI && missing.length > 0)) process.exit(isCI ? 1 : 0)

const cli = fileURLToPath(import.meta.resolve('@playwright/test/cli'))
const args = process.argv.slice(2)
const projects = ENGINES.filter((name) => !missing.includes(name)).map((name) => `--project=${name}`)
const isChosen = args.some((arg) => arg.startsWith('--project'))
const tests = spawn(process.execPath, [cli, 'test', ...(isChosen ? [] : projects), ...args], { stdio: 'inherit' })
// A terminal interrupts Playwright too, which then ends its browsers; any other signal reaches only this process.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => tests.kill('SIGINT'))
tests.on('exit', (code) => process.exit(code ?? 1))
