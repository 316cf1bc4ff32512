import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from '../server/testingPackage'
import type { Engine, Profile, Tab } from './engine'
import { WHILE_HELD } from './keptProcess'
import { WebDriver } from './webDriver'

interface WebKit {
  browser: string
  driver: string
  display: string
}

/** WebKitGTK's MiniBrowser, its driver and a display for it, from Debian's packages; null if one of them is missing. */
export function findWebKit(): WebKit | null {
  const libraries = existsSync('/usr/lib') ? readdirSync('/usr/lib').map((folder) => join('/usr/lib', folder)) : []
  const browser = ['webkit2gtk-4.1', 'webkitgtk-6.0', 'webkit2gtk-4.0']
    .flatMap((name) => libraries.map((folder) => join(folder, name, 'MiniBrowser')))
    .find((path) => existsSync(path))
  const driver = findProgram('WebKitWebDriver')
  const display = findProgram('Xvfb')
  return browser && driver && display ? { browser, driver, display } : null
}

/** MiniBrowser on a display of its own, driven over WebDriver. */
export async function openWebKit(): Promise<Engine> {
  const found = findWebKit()
  if (!found) throw new Error('There is no WebKit here.')

  const xvfb = keep(found.display, ['-displayfd', '1', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'])
  const [number] = (await once(xvfb.stdout, 'data')) as [Buffer]
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const driver = keep(found.driver, [`--port=${port}`], {
    DISPLAY: `:${number.toString().trim()}`,
    // The window that contains the pages.
    LANG: 'en_US.UTF-8',
    LC_ALL: '',
  })
  while (!(await fetch(`${address}/status`).catch(() => null))) await sleep(50)
  const session = await WebDriver.begin(address, {
    'webkitgtk:browserOptions': { binary: found.browser, args: ['--automation'] },
  })

  return {
    openProfile: () => Promise.resolve(openProfile(session)),
    close: async () => {
      await session.end()
      for (const child of [driver, xvfb]) await letGo(child)
    },
  }
}

/** All tests share one profile. Each test has its own origin, which separates them just as well. */
function openProfile(session: WebDriver): Profile {
  const windows = new Set<string>()
  return {
    openTab: async () => {
      // Further tabs are hidden behind the first.
      const window = await session.open(windows.size === 0 ? 'window' : 'tab')
      windows.add(window)
      return tabOf(session, window, () => windows.delete(window))
    },
    close: async () => {
      for (const window of windows) await session.send(window, 'DELETE', '/window')
    },
  }
}

function tabOf(session: WebDriver, window: string, onClose: () => void): Tab {
  return {
    goto: (url) => session.send(window, 'POST', '/url', { url }),
    evaluate: (run, ...args) => session.evaluate(window, run, args),
    screenshot: async () => Buffer.from(await session.send<string>(window, 'GET', '/screenshot'), 'base64'),
    close: async () => {
      onClose()
      await session.send(window, 'DELETE', '/window')
    },
  }
}

type Kept = ChildProcessByStdio<Writable, Readable, null>

function keep(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Kept {
  return spawn('/bin/sh', ['-c', WHILE_HELD, 'sh', command, ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
    detached: true,
  })
}

async function letGo(child: Kept): Promise<void> {
  child.stdin.end()
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}
