import express, { type Request, type Response } from 'express'
import { type BusinessRow, findBusiness, openHeaders, toBusiness } from '../../business-records.ts'
import { changeBusiness } from '../../operations/change-business.ts'
import { Problem } from '../../problems.ts'
import { readFields, readPath } from '../../read-request.ts'
import { findRoute, toRouteState } from '../../route-records.ts'
import { businessChange, businessPath } from '../../schemas/business.ts'
import type { ConsoleParts } from '../console.ts'
import { redirectWith, sendPage } from '../page.ts'
import { readForm } from '../read-form.ts'
import { operatorOf, visitOf } from '../visit.ts'
import { mergeHeaders, readHeaderRows } from './business-headers.ts'
import { inWords, ofForm, settingsForm, toChange, toSettingsForm } from './business-settings.ts'
import { businessPageOf, type Entered } from './business-view.ts'
import { sendSecretPage } from './signing-secret.ts'
import { testEventOf } from './test-event.ts'

/** `/console/businesses/{id}`: its settings, headers and secret. */
export function businessPage(parts: ConsoleParts): express.Router {
  const { knex, sealer, log } = parts
  const router = express.Router()

  const read = async (request: Request): Promise<BusinessRow> => {
    const { business_id: id } = readPath(request, businessPath)
    const row = await findBusiness(knex, id)
    if (row === null) throw new Problem(404, `there is no business ${id}`)
    return row
  }

  const show = async (
    request: Request,
    response: Response,
    row: BusinessRow,
    entered: Partial<Entered> = {},
  ): Promise<void> => {
    const [inbound, outbound] = await Promise.all([
      findRoute(knex, row.business_id, 'inbound'),
      findRoute(knex, row.business_id, 'outbound'),
    ])
    const business = toBusiness(row, sealer, log)
    const routes = [inbound, outbound].flatMap((route) => (route === null ? [] : [toRouteState(route)]))
    const shown = { settings: toSettingsForm(business), headerNames: [], part: null, problem: null, ...entered }
    const testEvent = await testEventOf(parts, row.business_id, request)
    sendPage(response, businessPageOf(response, business, routes, testEvent, shown))
  }

  /** Makes a change by a form of the page; what is wrong with it is said in that form. */
  const order = (path: string, change: (row: BusinessRow, request: Request, response: Response) => Promise<Order>) => {
    router.post(path, async (request, response) => {
      const row = await read(request)
      const { entered, make } = await change(row, request, response)
      try {
        await make()
      } catch (error) {
        if (!(error instanceof Problem) || (error.fields.length === 0 && error.status !== 409)) throw error
        response.status(error.status)
        await show(request, response, await read(request), { ...entered, problem: error })
      }
    })
  }

  const apply = async (row: BusinessRow, request: Request, response: Response, change: ReturnType<typeof toChange>) =>
    (await changeBusiness(parts, operatorOf(response), row.business_id, change, seenBy(request))).business

  router.get('/businesses/:business_id', async (request, response) => show(request, response, await read(request)))

  order('/businesses/:business_id', async (row, request, response) => {
    const settings = readForm(request, settingsForm)
    return {
      entered: { part: 'settings', settings },
      async make() {
        const business = await apply(row, request, response, toChange(settings)).catch((error: unknown) => {
          throw error instanceof Problem && error.fields.length > 0 && error.status === 409
            ? ofForm(error, settings)
            : error
        })
        const { inbound, outbound } = business.skipped_deliveries_that_fit
        const fitting = inbound + outbound
        const said = fitting === 0 ? '' : ` ${fitting} skipped deliveries would fit the new URL: requeue them below.`
        await redirectWith(response, pathOf(row), visitOf(response), `The settings are saved.${said}`)
      },
    }
  })

  order('/businesses/:business_id/headers', async (row, request, response) => {
    const rows = readHeaderRows(request)
    const stored = openHeaders(row, sealer, log)
    const known = new Set(Object.keys(stored ?? {}))
    return {
      entered: { part: 'headers', headerNames: rows.map(({ name }) => name).filter((name) => !known.has(name)) },
      async make() {
        await apply(row, request, response, { headers: mergeHeaders(stored, rows) })
        await redirectWith(response, pathOf(row), visitOf(response), 'The headers are saved.')
      },
    }
  })

  order('/businesses/:business_id/secret', async (row, request, response) => {
    return {
      entered: { part: 'secret' },
      async make() {
        const own = String((request.body as Record<string, unknown>)['signing_secret'] ?? '').trim()
        const business = await apply(row, request, response, { signing_secret: own === '' ? null : readSecret(own) })
        if (business.signing_secret !== undefined) return sendSecretPage(response, business, 'The secret is rotated.')
        await redirectWith(response, pathOf(row), visitOf(response), 'Your secret signs from now on.')
      },
    }
  })

  // Where a form was answered is what the address bar shows, and what is opened again.
  const formPaths = ['headers', 'secret'].map((form) => `/businesses/:business_id/${form}`)
  router.get(formPaths, (request, response) => {
    response.redirect(303, pathOf(readPath(request, businessPath)))
  })
  return router
}

interface Order {
  /** What the page shows again when it cannot be made. */
  entered: Partial<Entered>
  /** Makes the change and answers. */
  make(): Promise<void>
}

const pathOf = ({ business_id: id }: { business_id: string }): string => `/console/businesses/${id}`

/** A form that was opened before somebody else's change would undo it; one that is sent twice would rotate twice. */
const seenBy = (request: Request): string => String((request.body as Record<string, unknown>)['seen'] ?? '')

/** @throws {Problem} 400; it does not tell what was given. */
function readSecret(text: string): string {
  try {
    const { signing_secret: secret } = readFields(
      { signing_secret: text },
      businessChange.pick({ signing_secret: true }),
      false,
    )
    return secret ?? ''
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const fields = error.fields.map(({ field, detail }) => ({ field, detail: inWords(detail) }))
    throw new Problem(error.status, error.message, fields)
  }
}
