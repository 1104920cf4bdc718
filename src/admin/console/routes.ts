import express, { type Response } from 'express'
import { parkRoute, unparkRoute } from '../operations/switch-route.ts'
import { encodeCursor, pageOf } from '../paging.ts'
import { Problem } from '../problems.ts'
import { readPath } from '../read-request.ts'
import { findRoute, listRoutes, toRoutes } from '../route-records.ts'
import { parkOrder, type RouteAnswer, routeListQuery, routePath } from '../schemas/route.ts'
import { businessNames } from './business-names.ts'
import type { ConsoleParts } from './console.ts'
import { pager, readFilter } from './filters.ts'
import { html } from './html.ts'
import { redirectWith, sendPage } from './page.ts'
import { problemNotice } from './problem-pages.ts'
import { readForm } from './read-form.ts'
import { routeFilter, routeTable } from './route-list-view.ts'
import { pathOf, routePage, routesPath, type ShownRoute } from './route-view.ts'
import { operatorOf, visitOf } from './visit.ts'

/** `/console/routes`: each direction of each business, and its switch. */
export function routePages(parts: ConsoleParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  router.get('/routes', async (request, response) => {
    const filter = readFilter(request, routeListQuery)
    const { query, problem, given } = filter
    const rows = query === null ? [] : await listRoutes(knex, query, query.limit + 1)
    const page = pageOf(
      rows,
      query?.limit ?? 0,
      (row) => encodeCursor(row.business_id, row.direction),
      (row) => row,
    )
    const routes = await shown(await toRoutes(knex, page.items))
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Routes',
      place: 'routes',
      body: html`${routeFilter(filter)}${problem ? problemNotice(problem) : routeTable(routes)}
${pager(routesPath, given, page.next_cursor)}`,
    })
  })

  router.get('/routes/:business_id/:direction', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const row = await findRoute(knex, businessId, direction)
    if (row === null) throw new Problem(404, `there is no ${direction} route of business ${businessId}`)
    const [route] = await shown(await toRoutes(knex, [row]))
    if (route !== undefined) sendPage(response, routePage(response, route))
  })

  router.post('/routes/:business_id/:direction/park', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const { reason } = readForm(request, parkForm)
    const route = await parkRoute(parts, operatorOf(response), { businessId, direction }, reason)
    await back(response, route, 'The route is parked. What waits on it stays pending and loses no attempt.')
  })

  router.post('/routes/:business_id/:direction/unpark', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const route = await unparkRoute(parts, operatorOf(response), { businessId, direction })
    await back(response, route, 'The route is active. What waits on it is sent, faster with each success.')
  })

  async function shown(answers: readonly RouteAnswer[]): Promise<ShownRoute[]> {
    const nameOf = await businessNames(
      knex,
      answers.map((route) => route.business_id),
    )
    return answers.map((route) => ({ ...route, name: nameOf(route.business_id) }))
  }
  return router
}

/** The one who parks it today is not the one who wonders tomorrow. */
const parkForm = parkOrder.required()

const back = (response: Response, route: RouteAnswer, text: string): Promise<void> =>
  redirectWith(response, pathOf(route), visitOf(response), text)
