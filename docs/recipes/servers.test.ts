/** The servers of snapshot.md and of fastify-and-h3.md, run as their reader would. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Client, eventsOf, request } from '../../server/testing'
import { freePort, workspace, writeRecipe } from './testingRecipe'

const tsx = fileURLToPath(import.meta.resolve('tsx/cli'))

/** Starts a program of a recipe. Returns its port. */
async function start(page: string, program: string): Promise<number> {
  const folder = workspace()
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const port = await freePort()
  const project = writeRecipe(folder, page, (code) => code.replaceAll('3000', String(port)))
  const child = spawn(process.execPath, [tsx, program], { cwd: project, stdio: ['ignore', 'ignore', 'inherit'] })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  await vi.waitFor(() => fetch(`http://127.0.0.1:${port}/`), { timeout: 20_000, interval: 100 })
  return port
}

/** Reads a stream until its text matches, and leaves. */
async function read(port: number, path: string, until: RegExp, after?: string): Promise<Record<string, string>[]> {
  const client = new Client(port, request('GET', path, after === undefined ? {} : { 'Last-Event-ID': after }))
  const text = await client.until(until)
  client.socket.destroy()
  return eventsOf(withoutChunks(text.slice(text.indexOf('\r\n\r\n') + 4))).filter(({ data }) => data !== undefined)
}

/** A body without the lengths of its chunks. */
function withoutChunks(body: string): string {
  return body.replace(/(^|\r\n)[\da-f]+\r\n/g, '')
}

describe.each(['server/fastify.ts', 'server/h3.ts'])('%s', (program) => {
  it('replays, resumes, ends with close, and answers 204 after it', { timeout: 60_000 }, async () => {
    const port = await start('fastify-and-h3.md', program)
    const api = `http://127.0.0.1:${port}/api/news`
    const post = (text: string): Promise<Response> =>
      fetch(api, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ text }) })
    for (const text of ['one', 'two']) expect(await (await post(text)).json()).toEqual({ ok: true })

    const [one, two] = await read(port, '/api/news', /data: two/)
    expect([one?.['data'], two?.['data']]).toEqual(['one', 'two'])
    const listener = new Client(port, request('GET', `/api/news?lastEventId=${encodeURIComponent(one?.['id'] ?? '')}`))
    expect(await listener.until(/data: two/)).not.toContain('data: one')
    await post('three')
    await listener.until(/data: three/)

    await fetch(api, { method: 'DELETE' })
    const text = await listener.toEnd()
    expect(text).toContain('event: close')
    const last = eventsOf(withoutChunks(text)).at(-1)?.['id'] ?? ''
    expect((await fetch(api, { headers: { 'Last-Event-ID': last } })).status).toBe(204)
  })
})

describe('server/main.ts of snapshot.md', () => {
  it(
    'begins with the state, continues after an id, and repairs a gap with the state',
    { timeout: 60_000 },
    async () => {
      const port = await start('snapshot.md', 'server/main.ts')
      const path = '/api/orders/stream'
      // Until every order is known.
      await read(port, path, /"id":4/)
      const [snapshot, ...changes] = await read(port, path, /(event: order[^]*){2}\n\n/)
      expect(snapshot?.['event']).toBe('snapshot')
      expect((JSON.parse(snapshot?.['data'] ?? '') as { id: number }[]).map(({ id }) => id)).toEqual([1, 2, 3, 4])
      expect(changes.map(({ event }) => event)).toEqual(['order', 'order'])

      const [next] = await read(port, path, /event: order[^]*\n\n/, changes[0]?.['id'])
      expect(next).toEqual(changes[1])
      const [repaired] = await read(port, path, /event: \w+[^]*\n\n/, 'of-another-life:7')
      expect(repaired?.['event']).toBe('snapshot')
    },
  )
})
