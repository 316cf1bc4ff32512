import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { Router, type Request, type RequestHandler, type Response } from 'express'
import { pages } from '../shared/pages'
import { SettingsError } from './settings'

/** What serves the page, and what ends that. */
export interface Page {
  handler: RequestHandler
  /** It is served by Vite, whose `<style>` elements and worker the content security policy has to allow. */
  live: boolean
  close(): Promise<void>
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** The page out of `client/`, each file compiled when the browser asks for it, and changed in the browser when it changes. */
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

/** The page out of `client/`, compiled now. */
export async function compiledPage(): Promise<Page> {
  const { build } = await import('vite')
  // What is in the folder stays: another server may be serving it.
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
      // A part of it would be a 206, also where nothing is.
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

/** By encoding: how the name of a file in that form ends. The first that a client accepts is the smallest. */
const FORMS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const

/** Finds the form of a file in which it is sent: says so in the headers, and returns the ending of its name; empty for the file itself. */
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

/** The page, which then says that there is none here, to whoever reads HTML. Everyone else gets the application's JSON. */
function notFound(index: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    if (['GET', 'HEAD'].includes(req.method) && req.accepts(['json', 'html']) === 'html')
      await index(req, res.status(404), next)
    else next()
  }
}
