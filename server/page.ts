import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import express, { Router, type RequestHandler } from 'express'

/** What serves the page, and what it needs to be shut down. */
export interface Page {
  handler: RequestHandler
  /** The page's styles arrive as `<style>` elements, which the content security policy has to allow. */
  inlineStyles: boolean
  close(): Promise<void>
}

/** The page straight from `client/`, compiled as the browser asks for it. With `hmr`, a change shows without a reload. */
export async function sourcePage(hmr?: Server): Promise<Page> {
  const { createServer } = await import('vite')
  const vite = await createServer({
    appType: 'custom',
    // Without `hmr`, both are off: each would open a port of its own.
    server: { middlewareMode: true, hmr: hmr ? { server: hmr } : false, ...(hmr ? {} : { ws: false as const }) },
  })
  const index = fileURLToPath(new URL('../client/index.html', import.meta.url))

  const handler = Router()
  handler.get('/', async (req, res) => {
    res.type('html').send(await vite.transformIndexHtml(req.originalUrl, await readFile(index, 'utf8')))
  })
  handler.use(vite.middlewares)
  return { handler, inlineStyles: true, close: () => vite.close() }
}

/** The page as `npm run build` left it. */
export function builtPage(): Page {
  const folder = fileURLToPath(new URL('../client', import.meta.url))
  if (!existsSync(`${folder}/index.html`)) throw new Error('There is no built page: run `npm run build` first.')
  // The names in assets/ change with their content.
  const handler = Router()
    .use('/assets', express.static(`${folder}/assets`, { immutable: true, maxAge: '1y' }))
    .use(express.static(folder, { cacheControl: false }))
  return { handler, inlineStyles: false, close: () => Promise.resolve() }
}
