import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { Router, type Request, type RequestHandler, type Response } from 'express'
import { pages } from '../shared/pages'
import { SettingsError } from './settings'

/** Serves the page until it is closed. */
export interface Page {
  handler: RequestHandler
  /** Served by Vite, whose `<style>` elements and worker the content security policy has to allow. */
  live: boolean
  close(): Promise<void>
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The page from `client/`: each file is compiled on request, and updated in the browser when it changes. */
export async function livePage(server: Server): Promise<Page> {
  const { createServer } = await import('vite')
  const vite = await createServer({ appType: 'custom', server: { middlewareMode: true, hmr: { server } } })

  const index: RequestHandler = async (req, res) => {
    const html = await readFile(path('../client/index.html'), 'utf8')
    res.type('html').send(await vite.transformIndexHtml(req.originalUrl, html))
  }
  const handler = Router().get(Object.values(pages), index).use(vite.middlewares, notFound(index))
  return { handler, live: true, close: () => vite.close() }
}

/** The page from `client/`, compiled now. */
export async function compiledPage(): Promise<Page> {
  const { build } = await import('vite')
  // Keeps the folder's files: another server may be serving them.
  await build({ logLevel: 'warn', build: { emptyOutDir: false } })
  return builtPage(path('../dist/client'))
}

/** The page as `npm run build` left it, by default beside the built server. */
export function builtPage(folder: string = path('../client')): Page {
  if (!existsSync(`${folder}/assets`))
    throw new SettingsError(`There is no built page in ${folder}: run npm run build first.`)
  const compressed = compressedIn(folder)
  const index: RequestHandler = (req, res) => {
    res.type('html')
    res.sendFile(`index.html${compressed(req, res, 'index.html')}`, {
      root: folder,
      cacheControl: false,
      headers: { 'Cache-Control': 'no-cache' },
      // A range request would get 206, even at an unknown address.
      acceptRanges: false,
    })
  }
  const smallest: RequestHandler = (req, res, next) => {
    const ending = compressed(req, res, req.path.slice(1))
    if (ending) {
      res.type(extname(req.path))
      req.url = req.path + ending
    }
    next()
  }
  const handler = Router()
    .get(Object.values(pages), index)
    .use(smallest)
    // The names in assets/ change with their content.
    .use('/assets', express.static(`${folder}/assets`, { immutable: true, maxAge: '1y' }))
    .use(express.static(folder, { index: false }))
    .use(notFound(index))
  return { handler, live: false, close: () => Promise.resolve() }
}

/** Encodings with their file endings, smallest first. */
const FORMS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const

/** Picks the form in which a file is sent: sets its headers, and returns its file ending; empty for the plain file. */
function compressedIn(folder: string): (req: Request, res: Response, file: string) => string {
  const files = new Set(
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/')),
  )
  return (req, res, file) => {
    const forms = FORMS.filter(([, ending]) => files.has(file + ending))
    if (forms.length > 0) res.vary('Accept-Encoding')
    const form = forms.find(([encoding]) => req.acceptsEncodings(encoding))
    if (!form) return ''
    res.set('Content-Encoding', form[0])
    return form[1]
  }
}

/** Clients that accept HTML get the page with its own "not found"; all others get the application's JSON. */
function notFound(index: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    if (['GET', 'HEAD'].includes(req.method) && req.accepts(['json', 'html']) === 'html')
      await index(req, res.status(404), next)
    else next()
  }
}
