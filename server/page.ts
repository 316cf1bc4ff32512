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

  const handler = Router()
  handler.get(Object.values(pages), async (req, res) => {
    const html = await readFile(path('../client/index.html'), 'utf8')
    res.type('html').send(await vite.transformIndexHtml(req.originalUrl, html))
  })
  handler.use(vite.middlewares)
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
  const handler = Router()
    .get(Object.values(pages), (_req, res) =>
      res.sendFile('index.html', { root: folder, cacheControl: false, headers: { 'Cache-Control': 'no-cache' } }),
    )
    // The names in assets/ change with their content.
    .use('/assets', express.static(`${folder}/assets`, { immutable: true, maxAge: '1y' }))
    .use(express.static(folder, { index: false }))
  return { handler, live: false, close: () => Promise.resolve() }
}
