/** The servers of other-servers.md, each run by its own toolchain if that is installed. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { freePort, workspace, writeRecipe } from './testingRecipe'

interface Toolchain {
  name: string
  /** Throws if the toolchain is missing. */
  probe: [command: string, ...args: string[]]
  /** Makes the program of a project ready, and returns the command that runs it. */
  command: (project: string, port: string) => string[]
}

/** Debian's, where its packages are, or else whichever comes first. */
const python = ['/usr/bin/python3', 'python3'].find((name) => isInstalled([name, '-c', 'import fastapi'])) ?? 'python3'

const TOOLCHAINS: Toolchain[] = [
  {
    name: 'Go',
    probe: ['go', 'version'],
    command: (project) => {
      const program = join(project, 'job')
      execFileSync('go', ['build', '-o', program, 'main.go'], {
        cwd: project,
        env: { ...process.env, GO111MODULE: 'off' },
      })
      return [program]
    },
  },
  {
    name: 'FastAPI',
    probe: [python, '-c', 'import fastapi, uvicorn'],
    command: (_project, port) => [python, '-m', 'uvicorn', 'main:app', '--port', port, '--log-level', 'warning'],
  },
]

/** Shortened for tests: many heartbeats between two steps. */
const SHORT: [from: string, to: string][] = [
  ['15 * time.Second', '40 * time.Millisecond'],
  ['time.After(time.Second)', 'time.After(200 * time.Millisecond)'],
  ['HEARTBEAT = 15', 'HEARTBEAT = 0.04'],
  ['asyncio.sleep(1)', 'asyncio.sleep(0.2)'],
]

function isInstalled([command, ...args]: Toolchain['probe']): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe.each(TOOLCHAINS)('$name', ({ name, probe, command }) => {
  const isThere = isInstalled(probe)
  if (!isThere) {
    it.skip(`is not run: \`${probe.join(' ')}\` fails, so its toolchain is not installed`, () => undefined)
    return
  }

  let url: string
  let end = (): unknown => undefined

  beforeAll(async () => {
    const folder = workspace()
    const port = String(await freePort())
    url = `http://127.0.0.1:${port}/api/job`
    const project = writeRecipe(folder, 'other-servers.md', (code) =>
      SHORT.reduce((text, [from, to]) => text.replace(from, to), code).replaceAll('3000', port),
    )
    const [program = '', ...args] = command(project, port)
    const child = spawn(program, args, { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] })
    end = async () => {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      rmSync(folder, { recursive: true })
    }
    await vi.waitFor(() => fetch(`${url}?lastEventId=6`), { timeout: 20_000, interval: 100 })
  }, 120_000)

  afterAll(() => end())

  const events = (text: string): string[] =>
    text
      .split('\n\n')
      .filter((block) => block && block !== ':')
      .map((block) => block.replaceAll('\n', ' '))
  const ALL = [
    ...[1, 2, 3, 4, 5].map((n) => `id: ${n} event: progress data: ${n * 20}`),
    'id: 6 event: close data: done',
  ]

  it(`${name} sends every step, heartbeats between them, and close`, async () => {
    const response = await fetch(url)
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    const text = await response.text()
    expect(events(text)).toEqual(ALL)
    expect(text).toContain('\n\n:\n\n')
  })

  it(`${name} continues after an id, from the header or from the query`, async () => {
    const [header, query] = await Promise.all([
      fetch(url, { headers: { 'Last-Event-ID': '3' } }).then((response) => response.text()),
      fetch(`${url}?lastEventId=3`).then((response) => response.text()),
    ])
    expect(events(header)).toEqual(ALL.slice(3))
    expect(events(query)).toEqual(ALL.slice(3))
  })

  it(`${name} answers 204 to a client that has seen the end, and starts over for a foreign id`, async () => {
    expect((await fetch(url, { headers: { 'Last-Event-ID': '6' } })).status).toBe(204)
    const strange = await fetch(url, { headers: { 'Last-Event-ID': "'; DROP TABLE" } })
    expect(events(await strange.text())).toEqual(ALL)
  })
})
