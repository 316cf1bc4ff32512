import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { pages } from '../shared/pages'
import { builtPage } from './page'
import { errorOf, startApp, type TestApp } from './testingApp'

const PAGE = '<!doctype html><title>The page</title>'
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

let app: TestApp

beforeEach(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'page-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'index.html'), PAGE)
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'assets/index-1234.js'), 'let it')
  app = await startApp({ page: builtPage(folder) })
})

describe('the built page', () => {
  it.each(Object.values(pages))('is at %s, and is asked for anew each time', async (path) => {
    const { status, headers, body } = await app.ask('GET', path)
    expect([status, headers['content-type'], headers['cache-control'], body]).toEqual([
      200,
      'text/html; charset=utf-8',
      'no-cache',
      PAGE,
    ])
  })

  it('that is asked for under a condition it does not meet is refused as JSON', async () => {
    const reply = await app.ask('GET', '/', { Accept: BROWSER, 'If-Match': '"another"' })
    expect(errorOf(reply).status).toBe(412)
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(reply.headers['last-modified']).toBeUndefined()
  })

  it('has assets that are kept for ever', async () => {
    const { status, headers } = await app.ask('GET', '/assets/index-1234.js', { Accept: BROWSER })
    expect([status, headers['cache-control']]).toEqual([200, 'public, max-age=31536000, immutable'])
  })
})

describe('an address where nothing is', () => {
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

  it.each(['POST', 'PUT', 'DELETE'])('is a JSON 404 for %s, whoever asks', async (method) => {
    expect(errorOf(await app.ask(method, '/nowhere', { Accept: BROWSER }))).toMatchObject({ status: 404 })
  })

  it('is a 404 also for a part of it, and for what the browser has already', async () => {
    const { headers } = await app.ask('GET', '/')
    const conditions = [{ Range: 'bytes=0-3' }, { 'If-None-Match': headers['etag'] ?? '' }]
    for (const condition of conditions)
      expect(await app.ask('GET', '/nowhere', { Accept: BROWSER, ...condition })).toMatchObject({ status: 404 })
  })
})
