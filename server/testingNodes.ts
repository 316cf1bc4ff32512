/** Servers that share a database, and a Redis where there is one, as processes that a test may kill. What a test starts here ends with it. */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { afterAll, onTestFinished } from 'vitest'
import { startProcess, type ServerProcess } from './testingProcess'

let program: Promise<string> | undefined
let outDir: string | undefined
afterAll(() => {
  if (outDir !== undefined) rmSync(outDir, { recursive: true, force: true })
})

/** Compiled, a server starts in a fraction of the time. */
async function compile(): Promise<string> {
  // Where its packages are found.
  const cache = fileURLToPath(new URL('../node_modules/.cache', import.meta.url))
  mkdirSync(cache, { recursive: true })
  outDir = mkdtempSync(join(cache, 'node-'))
  const ssr = fileURLToPath(new URL('testingNode.ts', import.meta.url))
  await build({ configFile: false, logLevel: 'silent', build: { ssr, outDir } })
  return join(outDir, 'testingNode.js')
}

/** An address of SQLite files, gone after the test. */
export function databaseUrl(): string {
  const folder = mkdtempSync(join(tmpdir(), 'nodes-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return `file:${join(folder, 'demo.db')}`
}

/** One of the servers, at the same port for as long as the test runs. */
export class TestNode {
  readonly #env: NodeJS.ProcessEnv
  #process: ServerProcess | undefined
  #port = 0

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = { PUSHES_PER_MINUTE: '1000000', MAX_STREAMS_PER_ADDRESS: '1000', ...env }
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get printed(): ServerProcess['printed'] | undefined {
    return this.#process?.printed
  }

  async start(): Promise<void> {
    program ??= compile()
    this.#process = startProcess({ ...this.#env, PORT: String(this.#port) }, [process.execPath, await program])
    this.#port = await this.#process.listening()
  }

  async kill(): Promise<void> {
    this.#process?.signal('SIGKILL')
    await this.#process?.exit
  }
}

export async function startNodes(count: number, env: NodeJS.ProcessEnv): Promise<TestNode[]> {
  const nodes = Array.from({ length: count }, () => new TestNode(env))
  await Promise.all(nodes.map((node) => node.start()))
  return nodes
}
