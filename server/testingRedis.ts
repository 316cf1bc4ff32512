/** A real redis-server for tests, in a folder of its own. The test has to stop it. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { neededProgram } from './testingPackage'

export interface RedisProcess {
  url: string
  folder: string
  /** Sends a signal; `SIGKILL` is a crash. */
  signal: (name: NodeJS.Signals) => void
  /** Starts it again with the same port and data. */
  restart: () => Promise<void>
  /** Ends it like a crash. */
  kill: () => Promise<void>
  stop: () => Promise<void>
}

const program = neededProgram('redis-server', 'the tests with a real Redis (server/redis)')

/** Without redis-server, its tests are skipped. */
export const hasRedis: boolean = program !== null

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write('PING\r\n')
    const [reply] = (await once(socket, 'data')) as [Buffer]
    return reply.toString().startsWith('+PONG')
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** @param settings as on the command line of redis-server, such as `--appendonly yes` */
export async function startRedis(settings: readonly string[] = []): Promise<RedisProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-'))
  const port = await freePort()
  let child: ChildProcess

  async function start(): Promise<void> {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--daemonize', 'no']
    child = spawn(program ?? 'redis-server', [...args, ...settings], { stdio: 'ignore' })
    while (!(await accepts(port))) {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}.`)
      await sleep(20)
    }
  }
  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    folder,
    signal: (name) => void child.kill(name),
    restart: start,
    kill,
    stop: async () => {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
