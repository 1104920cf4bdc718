import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { parkOrder, route, routeList, routeListQuery, routePath } from '../schemas/route.ts'
import { changeRefusals, json, problem, readRefusals } from './answers.ts'

const tags = ['Routes']
const notFound = problem('There is no such business.')

export const routeOperations: ZodOpenApiPathsObject = {
  '/admin/routes': {
    get: {
      operationId: 'listRoutes',
      tags,
      summary: 'List routes and how they are',
      description: 'By business and direction. A business has a route once something was enqueued for it.',
      requestParams: { query: routeListQuery },
      responses: { 200: json('A page of routes.', routeList), ...readRefusals },
    },
  },
  '/admin/routes/{business_id}/{direction}/park': {
    post: {
      operationId: 'parkRoute',
      tags,
      summary: 'Stop sending on a route',
      description: 'Its deliveries wait, untried and unharmed, until it is unparked or its effective URL changes.',
      requestParams: { path: routePath },
      requestBody: { required: false, content: { 'application/json': { schema: parkOrder } } },
      responses: { 200: json('The route, parked.', route), 404: notFound, ...changeRefusals },
    },
  },
  '/admin/routes/{business_id}/{direction}/unpark': {
    post: {
      operationId: 'unparkRoute',
      tags,
      summary: 'Send again on a route',
      description: 'Closes an open breaker too. What has waited ramps up, one more POST at a time with each success.',
      requestParams: { path: routePath },
      responses: { 200: json('The route, active.', route), 404: notFound, ...changeRefusals },
    },
  },
}
