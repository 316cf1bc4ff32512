import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import express, { Router, type RequestHandler } from 'express'
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
  const index: RequestHandler = (_req, res) =>
    res.sendFile('index.html', {
      root: folder,
      cacheControl: false,
      headers: { 'Cache-Control': 'no-cache' },
      // A part of it would be a 206, also where nothing is.
      acceptRanges: false,
    })
  const handler = Router()
    .get(Object.values(pages), index)
    // The names in assets/ change with their content.
    .use('/assets', express.static(`${folder}/assets`, { immutable: true, maxAge: '1y' }))
    .use(express.static(folder, { index: false }))
    .use(notFound(index))
  return { handler, live: false, close: () => Promise.resolve() }
}

/** The page, which then says that there is none here, to whoever reads HTML. Everyone else gets the application's JSON. */
function notFound(index: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    if (['GET', 'HEAD'].includes(req.method) && req.accepts(['json', 'html']) === 'html')
      await index(req, res.status(404), next)
    else next()
  }
}
