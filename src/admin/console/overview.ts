import express from 'express'
import type { ConsoleParts } from './console.ts'
import { html } from './html.ts'
import { sendPage } from './page.ts'

/** `/console`: is everything all right? */
export function overviewPages(_parts: Pick<ConsoleParts, 'knex'>): { router: express.Router; stop(): void } {
  const router = express.Router()
  router.get('/', (_request, response) => {
    sendPage(response, { title: 'Overview', place: 'overview', body: html`` })
  })
  return { router, stop: () => undefined }
}
