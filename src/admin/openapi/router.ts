import { createHash } from 'node:crypto'
import express from 'express'
import manifest from '../../../package.json' with { type: 'json' }
import { openApiDocument } from './document.ts'

/**
 * `GET /openapi.json`, to be mounted at the root. Open to all: it says what the source code says, and tools that read it
 * send no token.
 *
 * @param adminUrl where operators reach the admin API. @param publicUrl what Twilio calls. Both without a trailing slash.
 */
export function openApiRouter(adminUrl: string, publicUrl: string): express.Router {
  const text = JSON.stringify(openApiDocument(manifest.version, adminUrl, publicUrl))
  const tag = `"${createHash('sha256').update(text).digest('base64url')}"`
  const router = express.Router()
  router.get('/openapi.json', (_request, response) => {
    // Kept, but asked for again each time: it changes when a new version is deployed, and at no other time.
    response.set({ 'cache-control': 'public, no-cache', etag: tag })
    response.type('application/json').send(text)
  })
  return router
}
