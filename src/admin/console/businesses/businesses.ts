import express, { type Response } from 'express'
import { findBusiness, listBusinesses, toBusiness } from '../../business-records.ts'
import { changeBusiness } from '../../operations/change-business.ts'
import { encodeCursor, pageOf } from '../../paging.ts'
import { Problem } from '../../problems.ts'
import { readFields } from '../../read-request.ts'
import { businessListQuery, businessPath } from '../../schemas/business.ts'
import type { ConsoleParts } from '../console.ts'
import { errorOf, pager, readFilter } from '../filters.ts'
import { orderForm, textField } from '../forms.ts'
import { html } from '../html.ts'
import { sendPage } from '../page.ts'
import { problemNotice } from '../problem-pages.ts'
import { readForm } from '../read-form.ts'
import { operatorOf } from '../visit.ts'
import { settingsFields } from './business-fields.ts'
import { noSettings, ofForm, type SettingsForm, settingsForm, toChange } from './business-settings.ts'
import { businessTable } from './business-table.ts'
import { refusalNotice } from './business-view.ts'
import { sendSecretPage } from './signing-secret.ts'

const path = '/console/businesses'

/** `/console/businesses`: who is served, and how a new one is. */
export function businessPages(parts: ConsoleParts): express.Router {
  const { knex, sealer, log } = parts
  const router = express.Router()

  router.get('/businesses', async (request, response) => {
    const { query, problem, given } = readFilter(request, businessListQuery.extend(businessPath.partial().shape))
    if (query?.business_id !== undefined) return response.redirect(303, `${path}/${query.business_id}`)
    const rows = query === null ? [] : await listBusinesses(knex, query.limit + 1, query.cursor)
    const place = (row: (typeof rows)[number]): string => encodeCursor(row.place_time, row.business_id)
    const page = pageOf(rows, query?.limit ?? 0, place, (row) => toBusiness(row, sealer, log))
    if (problem) response.status(problem.status)
    const number = { name: 'business_id', label: 'Open a business by its number', value: given['business_id'] }
    sendPage(response, {
      title: 'Businesses',
      place: 'businesses',
      actions: html`<a class="button primary" href="${path}/new">New business</a>`,
      body: html`<form class="filters" method="get" action="${path}">
${textField({ ...number, error: errorOf(problem, 'business_id'), type: 'search', placeholder: '10' })}
<div class="buttons"><button class="primary">Open</button></div>
</form>
${problem ? problemNotice(problem) : businessTable(page.items)}
${pager(path, given, page.next_cursor)}`,
    })
  })

  router.get('/businesses/new', (_request, response) => sendNewForm(response, '', noSettings, null))

  router.post('/businesses', async (request, response) => {
    const form = readForm(request, settingsForm)
    const id = String((request.body as Record<string, unknown>)['business_id'] ?? '').trim()
    try {
      const { business_id: businessId, change } = readNew(id, form)
      if (await findBusiness(knex, businessId)) throw taken(businessId)
      const { business } = await changeBusiness(parts, operatorOf(response), businessId, change)
      response.status(201)
      sendSecretPage(response, business, `Business ${businessId} is created.`)
    } catch (error) {
      if (!(error instanceof Problem) || error.fields.length === 0) throw error
      response.status(error.status)
      sendNewForm(response, id, form, ofForm(error, form))
    }
  })
  return router
}

/** @throws {Problem} 400 with what is wrong with the number and with all other fields. */
function readNew(id: string, form: SettingsForm) {
  const problems: Problem[] = []
  const attempt = <T>(read: () => T): T | null => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      problems.push(error)
      return null
    }
  }
  const key = attempt(() => readFields({ business_id: id }, businessPath, true))
  const change = attempt(() => toChange(form))
  if (key !== null && change !== null) return { ...key, change }
  throw new Problem(
    400,
    problems[0]?.message ?? '',
    problems.flatMap(({ fields }) => fields),
  )
}

const taken = (id: string): Problem =>
  new Problem(409, `there is a business ${id}`, [
    { field: 'business_id', detail: `is taken: business ${id} is there already` },
  ])

function sendNewForm(response: Response, id: string, form: SettingsForm, problem: Problem | null): void {
  const number = { name: 'business_id', label: 'Number', value: id, error: errorOf(problem, 'business_id') }
  sendPage(response, {
    title: 'New business',
    place: 'businesses',
    body: html`${problem && refusalNotice(problem)}${orderForm(
      response,
      path,
      html`<fieldset><legend>Number</legend><div class="fields">
${textField({ ...number, required: true, hint: 'By which the platform knows it, a whole number. It stays as it is.' })}
</div></fieldset>
${settingsFields(form, problem)}
<div class="row"><button class="primary">Create the business</button><a class="button" href="${path}">Do not</a></div>`,
      'card settings',
    )}`,
  })
}
