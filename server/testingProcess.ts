/** The server as a separate process, for tests. Everything started here ends with its test. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

export interface ServerProcess {
  /** Everything it printed. */
  printed: { stdout: string; stderr: string }
  /** The port that it says it listens on. */
  listening: () => Promise<number>
  signal: (name: NodeJS.Signals) => void
  /** Its exit code, or the signal that ended it. */
  exit: Promise<number | NodeJS.Signals | null>
}

const START = [process.execPath, '--import', 'tsx', 'server/main.ts'] as const

/** Starts the server as `npm start` does, or by another command, with only this environment. */
export function startProcess(
  env: NodeJS.ProcessEnv = {},
  [command, ...args]: readonly [string, ...string[]] = START,
): ServerProcess {
  const child = spawn(command, args, {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env['PATH'], HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group, so that nothing is left behind, even without its parent.
    detached: true,
  })
  const printed = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed.stderr += text))
  const exit = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => code ?? signal ?? null)
  onTestFinished(async () => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL')
    } catch {
      // It has already ended.
    }
    await exit
  })

  return {
    printed,
    exit,
    signal: (name) => void child.kill(name),
    listening: async () => {
      const address = /^Server-Sent Events: http:\/\/localhost:(\d+)\n/m
      const ended = exit.then(() => true)
      while (!address.test(printed.stdout))
        if (await Promise.race([once(child.stdout, 'data').then(() => false), ended]))
          throw new Error(`It printed ${JSON.stringify(printed)}`)
      return Number(address.exec(printed.stdout)?.[1])
    },
  }
}
