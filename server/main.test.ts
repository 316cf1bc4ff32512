import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { build } from 'vite'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { WebSocket } from 'ws'
import { byHandPaths } from '../shared/demos/byHand'
import { comparisonPaths } from '../shared/demos/comparison'
import { Client, request } from './testing'
import { startProcess, type ServerProcess } from './testingProcess'

// Compiling takes a while on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** The command of `npm run serve`. It starts much faster than `npm start`, which compiles the page. */
const BUILT = [process.execPath, 'dist/server/main.js', '--built'] as const

beforeAll(async () => {
  // Keeps existing files, like `npm start`: another server may be serving them.
  await build({ logLevel: 'error', build: { emptyOutDir: false } })
  await build({ logLevel: 'error', build: { ssr: '../server/main.ts' } })
})

const startBuilt = (env?: NodeJS.ProcessEnv): ServerProcess => startProcess(env, BUILT)

describe('the server', () => {
  it('says that it compiles the page, and then its address, where it answers', async () => {
    const { listening, printed } = startProcess()
    const port = await listening()
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`)
    expect(await answer.json()).toMatchObject({ status: 'ok', streams: 0 })
    const stdout = `Compiling the page …\nServer-Sent Events: http://localhost:${port}\n`
    expect(printed).toEqual({ stdout, stderr: '' })
  })

  it('says in one line that its port is in use, and what to do, and exits with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo

    const { exit, printed } = startBuilt({ PORT: String(port) })
    expect(await exit).toBe(1)
    expect(printed).toEqual({
      stdout: '',
      stderr: `Port ${port} is in use: end the program that uses it, or choose another, PORT=${port + 1} npm start.\n`,
    })
  })

  it.each([
    [{ PORT: 'http' }, 'PORT must be an integer from 0 to 65535, not "http". Without it, 3000 is used.\n'],
    [{ HOST: '0.0.0.0' }, /^HOST is 0\.0\.0\.0[^\n]*set SSE_PUSH_TOKEN[^\n]*\n$/],
    [{ ALLOWED_HOSTS: 'app.example' }, /^ALLOWED_HOSTS is app\.example[^\n]*set SSE_PUSH_TOKEN[^\n]*\n$/],
  ])('says in one line what is wrong with %o, and exits with 1', async (env, line) => {
    const { exit, printed } = startBuilt(env)
    expect(await exit).toBe(1)
    expect(printed.stderr).toMatch(line)
    expect(printed.stderr.split('\n')).toHaveLength(2)
    expect(printed.stdout).toBe('')
  })

  it('ends on a signal: tells its streams when to reconnect, and exits with 0', async () => {
    const { listening, signal, exit, printed } = startBuilt()
    const port = await listening()
    const client = new Client(port, request('GET', '/sse'))
    await client.until(/data: /)

    signal('SIGTERM')
    const received = await client.toEnd()
    expect(received).toMatch(/\n\n\r\nd\r\nretry: ([234]\d\d\d|5000)\n\n\r\n0\r\n\r\n$/)
    expect(await exit).toBe(0)
    expect(printed.stderr).toBe('')
  })

  it('on a signal closes unused connections, even those opened ahead, and answers pending requests', async () => {
    const { listening, signal, exit } = startBuilt()
    const port = await listening()
    const ahead = new Client(port)
    await once(ahead.socket, 'connect')
    const onItsWay = new Client(port, 'GET /healthz HTTP/1.1\r\nHost:')
    await once(onItsWay.socket, 'connect')
    const used = new Client(port, request('GET', '/healthz'))
    await used.until(/"ok"/)
    const stream = new Client(port, request('GET', '/sse'))
    await stream.until(/data: /)

    signal('SIGTERM')
    for (const client of [ahead, used, stream]) await client.toEnd()
    onItsWay.socket.write(' localhost\r\n\r\n')
    await onItsWay.until(/"ok"/)
    await onItsWay.toEnd()
    expect(await exit).toBe(0)
  })

  it('on a signal ends a comparison with all its techniques, and exits with 0', async () => {
    const { listening, signal, exit, printed } = startBuilt()
    const port = await listening()
    const name = 'a-comparison-to-be-ended'
    const query = `?run=${name}&interval=2000&webhook=true`
    const begun = new Client(port, request('POST', `${comparisonPaths.run}${query}`, { 'Content-Length': '0' }))
    await begun.until(/"webhook":true/)
    const held = new Client(port, request('GET', `${comparisonPaths.longPolling}${query}`))
    const stream = new Client(port, request('GET', `${comparisonPaths.sse}${query}`))
    const socket = new WebSocket(`ws://127.0.0.1:${port}${comparisonPaths.webSocket}${query}`)
    const closed = once(socket, 'close')
    await once(socket, 'open')
    await stream.until(/retry: /)

    signal('SIGTERM')
    expect(await held.until(/\[.*\]/)).toContain('200 OK')
    expect(await stream.toEnd()).toContain('event: close')
    expect((await closed)[0]).toBe(1001)
    expect(await exit).toBe(0)
    expect(printed.stderr).toBe('')
  })

  it('ends a stream by hand like all others, with a last line', async () => {
    const { listening, signal, exit, printed } = startBuilt()
    const client = new Client(await listening(), request('GET', `${byHandPaths.subscribe}?id=a`))
    await client.until(/订阅成功/)

    signal('SIGTERM')
    expect(await client.toEnd()).toMatch(/订阅成功\n\r\n5\r\nover\n\r\n0\r\n\r\n$/)
    expect(await exit).toBe(0)
    expect(printed.stderr).toBe('')
  })

  it('ends the streams over SHUTDOWN_MS, and is not ready meanwhile', async () => {
    const { listening, signal, exit } = startBuilt({ SHUTDOWN_MS: '600000' })
    const port = await listening()
    const onItsWay = new Client(port, 'GET /readyz HTTP/1.1\r\nHost:')
    await once(onItsWay.socket, 'connect')
    const [first, second] = [new Client(port, request('GET', '/sse')), new Client(port, request('GET', '/sse'))]
    for (const stream of [first, second]) await stream.until(/data: /)

    signal('SIGTERM')
    await first.until(/\nretry: \d+\n\n\r\n0\r\n\r\n$/)
    onItsWay.socket.write(' localhost\r\n\r\n')
    expect(await onItsWay.until(/}}$/)).toMatch(/^HTTP\/1\.1 503 [^]*"capacity-shutdown"/)
    expect(second.socket.readableEnded).toBe(false)
    signal('SIGTERM')
    expect(await exit).toBe('SIGTERM')
  })

  it('ends at once on the second signal, whatever is still open', async () => {
    const { listening, signal, exit } = startBuilt()
    const port = await listening()
    const stream = new Client(port, request('GET', '/sse'))
    await stream.until(/data: /)
    const unfinished = new Client(port, 'GET /healthz HTTP/1.1\r\nHost:')
    await once(unfinished.socket, 'connect')

    signal('SIGINT')
    await stream.toEnd()
    signal('SIGTERM')
    expect(await exit).toBe('SIGTERM')
  })
})

describe.each([
  ['npm start', ['npm', 'start']],
  ['npm run serve', ['npm', 'run', 'serve']],
] as const)('the server that %s started', (_name, command) => {
  it('ends on a signal to npm as on its own: with a hint to its streams, and freeing its port', async () => {
    const { listening, signal, exit } = startProcess({}, command)
    const port = await listening()
    const client = new Client(port, request('GET', '/sse'))
    await client.until(/data: /)

    signal('SIGTERM')
    expect(await client.toEnd()).toMatch(/\nretry: ([234]\d\d\d|5000)\n\n\r\n0\r\n\r\n$/)
    expect(await exit).toBe(0)
    const again = createServer().listen(port, '127.0.0.1')
    onTestFinished(() => void again.close())
    await once(again, 'listening')
  })
})
