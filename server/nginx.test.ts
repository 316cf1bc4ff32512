import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { byHandPaths } from '../shared/demos/byHand'
import { channelPaths, greeting } from '../shared/demos/channel'
import { Client, request } from './testing'
import { errorOf, replyOf, startApp, type Headers, type Reply, type TestApp, type TestAppOptions } from './testingApp'
import { neededProgram } from './testingPackage'

vi.setConfig({ testTimeout: 60_000 })

const nginx = neededProgram('nginx', 'the tests behind a real nginx (server/nginx.test.ts)')

const token = 'a-token-of-23-characters'
const CHANGING = [channelPaths.push, channelPaths.over, channelPaths.cut, byHandPaths.push, byHandPaths.over] as const

/** The configuration that people find first. */
const WORST = 'proxy_pass http://127.0.0.1:$port;'

/** The configuration of docs/deploy.md. */
const RECOMMENDED = `${WORST}
  proxy_http_version 1.1;
  proxy_set_header Connection '';
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_read_timeout 1h;`

/** An application behind an nginx, and functions to send requests to that nginx. */
async function start(recipe: string, options: TestAppOptions = {}) {
  const app = await startApp(options)
  const port = await freePort()
  await startNginx(port, recipe.replace('$port', String(app.port)))
  const ask = async (method: string, path: string, headers: Headers = {}): Promise<Reply> => {
    const client = new Client(port, request(method, path, { Connection: 'close', ...headers }))
    return replyOf(await client.toEnd())
  }
  return { app, port, ask }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startNginx(port: number, location: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nginx-'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  const config = `daemon off; master_process off; pid ${folder}/pid; error_log stderr crit;
    events {}
    http {
      access_log off; ${paths.join(' ')}
      server { listen 127.0.0.1:${port}; location / { ${location} } }
    }`
  writeFileSync(join(folder, 'nginx.conf'), config)
  const child = spawn(nginx ?? '', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], {
    stdio: 'inherit',
  })
  const exit = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await exit
    rmSync(folder, { recursive: true })
  })
  await vi.waitFor(
    async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.destroy()
    },
    { timeout: 30_000 },
  )
}

/** A stream through the proxy. An event published during it must arrive at once, and alone. */
async function expectUnbuffered(app: TestApp, port: number, headers: Headers = {}): Promise<void> {
  const client = new Client(port, request('GET', `${channelPaths.subscribe}?id=a`, headers))
  await client.until(new RegExp(greeting))
  for (const data of ['one', 'two', 'three']) {
    await app.hub.publish('a', { data })
    // No further bytes follow that could fill a buffer.
    await client.until(new RegExp(`data: ${data}\n\n`))
  }
  client.socket.destroy()
}

describe.skipIf(nginx === null)('behind an nginx that only passes on (proxy_pass and nothing else)', () => {
  it('nothing can be changed without a token, by any client in any way', async () => {
    const { app, port, ask } = await start(WORST)
    const stream = new Client(port, request('GET', `${channelPaths.subscribe}?id=a`))
    await stream.until(new RegExp(greeting))
    for (const path of CHANGING)
      for (const method of ['GET', 'POST'])
        for (const Host of ['app.example', 'localhost', `127.0.0.1:${app.port}`])
          expect(errorOf(await ask(method, `${path}?id=a&content=x`, { Host })), `${method} ${path}`).toEqual({
            status: 403,
            code: 'not-local',
            message: 'This is only for the machine that the server runs on.',
          })
    await app.hub.over('a')
    expect(await stream.until(/event: close/)).not.toContain('data: x')
  })

  it('streams are not buffered', async () => {
    const { app, port } = await start(WORST)
    await expectUnbuffered(app, port)
    const hand = new Client(port, request('GET', `${byHandPaths.subscribe}?id=b`))
    await hand.until(/订阅成功/)
  })

  it('a token is enough', async () => {
    const { ask } = await start(WORST, { pushToken: token })
    expect((await ask('POST', `${channelPaths.push}?id=a&content=x`)).status).toBe(401)
    const Authorization = `Bearer ${token}`
    expect((await ask('POST', `${channelPaths.push}?id=a&content=x`, { Authorization })).status).toBe(200)
  })
})

describe.skipIf(nginx === null)('behind an nginx configured as in docs/deploy.md', () => {
  const options = { pushToken: token, trustProxy: 1, allowedHosts: ['app.example'] }
  const ours = { Host: 'app.example', Authorization: `Bearer ${token}` }

  it('streams are not buffered, and clients have limits of their own', async () => {
    const { app, port, ask } = await start(RECOMMENDED, { ...options, pushesPerMinute: 1 })
    await expectUnbuffered(app, port, ours)
    expect((await ask('POST', `${channelPaths.push}?id=a&content=x`, ours)).status).toBe(200)
    expect((await ask('POST', `${channelPaths.push}?id=a&content=x`, ours)).status).toBe(429)
    expect((await ask('GET', '/healthz', { Host: 'elsewhere.example' })).status).toBe(421)
  })

  it('its own page may change state, over plain HTTP and on any port, and no other page', async () => {
    const { port, ask } = await start(RECOMMENDED, options)
    const push = async (headers: Headers): Promise<number> =>
      (await ask('POST', `${channelPaths.push}?id=a&content=x`, { ...ours, ...headers })).status
    expect(await push({ Host: `app.example:${port}`, Origin: `http://app.example:${port}` })).toBe(200)
    expect(await push({ Host: `app.example:${port}`, Origin: 'http://app.example' })).toBe(403)
    expect(await push({ Origin: 'null' })).toBe(403)
  })

  it('nothing can be changed when the token was forgotten', async () => {
    const { ask } = await start(RECOMMENDED, { allowedHosts: ['app.example'] })
    expect(errorOf(await ask('POST', `${channelPaths.push}?id=a&content=x`, ours))).toMatchObject({ code: 'not-local' })
    expect(errorOf(await ask('POST', `${channelPaths.push}?id=a&content=x`))).toMatchObject({ code: 'not-local' })
  })
})
