import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { pages } from '../shared/pages'
import { builtPage } from './page'
import { errorOf, startApp, type TestApp } from './testingApp'

const PAGE = '<!doctype html><title>The page</title>'
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

/** A response as on the wire: `fetch` would decode it. */
async function raw(
  { port }: TestApp,
  path: string,
  headers: Record<string, string>,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  const [response] = (await once(get({ port, path, headers, agent: false }), 'response')) as [IncomingMessage]
  return { headers: response.headers, body: await buffer(response) }
}

let app: TestApp
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'page-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'index.html'), PAGE)
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'assets/index-1234.js'), 'let it')
  app = await startApp({ page: builtPage(folder) })
})

describe('the built page', () => {
  it.each(Object.values(pages))('is at %s, and is revalidated each time', async (path) => {
    const { status, headers, body } = await app.ask('GET', path)
    expect([status, headers['content-type'], headers['cache-control'], body]).toEqual([
      200,
      'text/html; charset=utf-8',
      'no-cache',
      PAGE,
    ])
  })

  it('answers a failed precondition with a JSON error', async () => {
    const reply = await app.ask('GET', '/', { Accept: BROWSER, 'If-Match': '"another"' })
    expect(errorOf(reply).status).toBe(412)
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(reply.headers['last-modified']).toBeUndefined()
  })

  it('has assets that are cached forever', async () => {
    const { status, headers } = await app.ask('GET', '/assets/index-1234.js', { Accept: BROWSER })
    expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable'])
  })
})

describe('a file that the build has compressed', () => {
  const SCRIPT = 'export const answer = 42\n'.repeat(100)

  beforeEach(() => {
    for (const [name, content] of [
      ['index.html', PAGE],
      ['assets/long-5678.js', SCRIPT],
    ] as const) {
      writeFileSync(join(folder, name), content)
      writeFileSync(join(folder, `${name}.br`), brotliCompressSync(content))
      writeFileSync(join(folder, `${name}.gz`), gzipSync(content))
    }
  })

  it.each([
    ['br', 'gzip, deflate, br, zstd', brotliDecompressSync],
    ['gzip', 'gzip, deflate', gunzipSync],
    ['gzip', 'gzip, br;q=0', gunzipSync],
    [null, 'identity', (body: Buffer) => body],
  ] as const)('is sent as %s to a client that accepts %s', async (encoding, accepted, decode) => {
    const compressing = await startApp({ page: builtPage(folder) })
    for (const [path, type, content] of [
      ['/', 'text/html; charset=utf-8', PAGE],
      ['/channel', 'text/html; charset=utf-8', PAGE],
      ['/assets/long-5678.js?v=1', 'text/javascript; charset=utf-8', SCRIPT],
    ] as const) {
      const response = await raw(compressing, path, { 'Accept-Encoding': accepted })
      expect([
        response.headers['content-encoding'] ?? null,
        response.headers.vary,
        response.headers['content-type'],
      ]).toEqual([encoding, 'Accept-Encoding', type])
      expect(decode(response.body).toString()).toBe(content)
      if (path.startsWith('/assets'))
        expect(response.headers['cache-control']).toBe('public, max-age=31536000, immutable')
    }
  })

  it('does not make an error unreadable', async () => {
    const compressing = await startApp({ page: builtPage(folder) })
    const headers = { 'Accept-Encoding': 'br', 'If-Match': '"another"' }
    const response = await raw(compressing, '/assets/long-5678.js', headers)
    expect(response.headers['content-encoding']).toBeUndefined()
    expect(JSON.parse(response.body.toString())).toHaveProperty('error.code')
  })
})

describe('an unknown address', () => {
  const unknown = ['/nowhere', '/sse/nowhere', '/assets/missing.js', '/r/missing.json', '/favicon.ico', '/index', '/%']

  it.each([...unknown, '/<script>alert(1)</script>'])(
    'is a 404 with the page for a browser, and with nothing of the request in it: %s',
    async (path) => {
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, body } = await app.ask(method, path, { Accept: BROWSER })
        expect([status, headers['content-type'], headers['cache-control']]).toEqual([
          404,
          'text/html; charset=utf-8',
          'no-cache',
        ])
        expect(body).toBe(method === 'HEAD' ? '' : PAGE)
      }
    },
  )

  it.each(['*/*', 'application/json', 'image/avif,image/webp,*/*;q=0.8', 'application/json, text/html;q=0.5'])(
    'is a JSON 404 for a client that accepts %s',
    async (Accept) => {
      for (const path of unknown) {
        const error = errorOf(await app.ask('GET', path, { Accept }))
        expect(error).toEqual({ status: 404, code: 'not-found', message: `There is nothing at ${path}.` })
      }
    },
  )

  it.each(['POST', 'PUT', 'DELETE'])('is a JSON 404 for %s, for any client', async (method) => {
    expect(errorOf(await app.ask(method, '/nowhere', { Accept: BROWSER }))).toMatchObject({ status: 404 })
  })

  it('is a 404 for range and conditional requests too', async () => {
    const { headers } = await app.ask('GET', '/')
    const conditions = [{ Range: 'bytes=0-3' }, { 'If-None-Match': headers['etag'] ?? '' }]
    for (const condition of conditions)
      expect(await app.ask('GET', '/nowhere', { Accept: BROWSER, ...condition })).toMatchObject({ status: 404 })
  })
})
