import type { ZodOpenApiPathsObject } from 'zod-openapi'
import {
  deliveryAlone,
  deliveryList,
  deliveryListQuery,
  deliveryPath,
  discardOrder,
  requeuedDelivery,
} from '../schemas/delivery.ts'
import { changeRefusals, json, problem, readRefusals } from './answers.ts'

const tags = ['Deliveries']
const notFound = problem('There is no such delivery.')

export const deliveryOperations: ZodOpenApiPathsObject = {
  '/admin/deliveries': {
    get: {
      operationId: 'listDeliveries',
      tags,
      summary: 'List deliveries',
      description: 'Newest first. All that is given must match; `since` is included, `until` is not.',
      requestParams: { query: deliveryListQuery },
      responses: { 200: json('A page of deliveries.', deliveryList), ...readRefusals },
    },
  },
  '/admin/deliveries/{id}': {
    get: {
      operationId: 'getDelivery',
      tags,
      summary: 'Show a delivery with its payload and attempts',
      requestParams: { path: deliveryPath },
      responses: { 200: json('The delivery.', deliveryAlone), 404: notFound, ...readRefusals },
    },
  },
  '/admin/deliveries/{id}/requeue': {
    post: {
      operationId: 'requeueDelivery',
      tags,
      summary: 'Try a delivery again now',
      description:
        'In any status: it becomes pending and due, its schedule starts over, its id and bytes stay. One that is ' +
        'pending and due already is left as it is.',
      requestParams: { path: deliveryPath },
      responses: {
        200: json('The delivery, and what it waits for.', requeuedDelivery),
        404: notFound,
        409: problem('Retention has taken the payload: there is nothing left to send.'),
        ...changeRefusals,
      },
    },
  },
  '/admin/deliveries/{id}/discard': {
    post: {
      operationId: 'discardDelivery',
      tags,
      summary: 'Discard a delivery',
      description:
        'A pending or failed delivery becomes skipped, with the reason and the operator. An attempt in flight may still ' +
        'reach the receiver. A requeue brings it back.',
      requestParams: { path: deliveryPath },
      requestBody: { required: false, content: { 'application/json': { schema: discardOrder } } },
      responses: {
        200: json('The delivery.', requeuedDelivery),
        404: notFound,
        409: problem('The receiver has already accepted it.'),
        ...changeRefusals,
      },
    },
  },
}
