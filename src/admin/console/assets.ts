import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { Problem } from '../problems.ts'

const types = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' }
const longest = 'public, max-age=31536000, immutable'

/** In the order of their cascade. */
const styles = [
  ...['tones', 'base', 'frame', 'controls', 'messages', 'lists'],
  ...['overview', 'routes', 'rows', 'sheets', 'requeues', 'businesses'],
]

/** What each is made of. */
const files = {
  'console.css': styles.map((name) => new URL(`./static/styles/${name}.css`, import.meta.url).href),
  // One script: htmx looks at the page right after its own has run, which must not be before its extension is there.
  'console.js': [
    import.meta.resolve('htmx.org/dist/htmx.min.js'),
    import.meta.resolve('htmx.org/dist/ext/hx-sse.min.js'),
    new URL('./static/console.js', import.meta.url).href,
  ],
  'icon.svg': [new URL('./static/icon.svg', import.meta.url).href],
}
type Name = keyof typeof files

const loaded = Object.entries(files).map(([name, parts]) => {
  const body = Buffer.concat(parts.map((part) => readFileSync(fileURLToPath(part))))
  const version = createHash('sha256').update(body).digest('base64url').slice(0, 16)
  const type = types[name.slice(name.lastIndexOf('.') + 1) as keyof typeof types]
  return { name, body, type, path: `/assets/${version}/${name}` }
})

/** Where a file is served: its content is in the address, so browsers keep it for ever. */
export function assetUrl(name: Name): string {
  return `/console${loaded.find((file) => file.name === name)?.path}`
}

/** The files that pages load, for everybody. */
export function assetRoutes(): express.Router {
  const router = express.Router()
  for (const { path, type, body } of loaded) {
    router.get(path, (_request, response) => {
      response.set('Cache-Control', longest).type(type).send(body)
    })
  }
  router.use('/assets', () => {
    throw new Problem(404, 'there is no such file; reload the page')
  })
  return router
}
