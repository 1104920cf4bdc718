import type { ZodOpenApiPathsObject } from 'zod-openapi'
import {
  business,
  businessChange,
  businessList,
  businessListQuery,
  businessPath,
  changedBusiness,
} from '../schemas/business.ts'
import { testEvent, testEventOrder } from '../schemas/test-event.ts'
import { changeRefusals, json, problem, readRefusals } from './answers.ts'

const tags = ['Businesses']
const notFound = problem('There is no such business.')

export const businessOperations: ZodOpenApiPathsObject = {
  '/admin/businesses': {
    get: {
      operationId: 'listBusinesses',
      tags,
      summary: 'List businesses',
      description: 'Newest first.',
      requestParams: { query: businessListQuery },
      responses: { 200: json('A page of businesses.', businessList), ...readRefusals },
    },
  },
  '/admin/businesses/{business_id}': {
    get: {
      operationId: 'getBusiness',
      tags,
      summary: 'Show a business',
      requestParams: { path: businessPath },
      responses: { 200: json('The business.', business), 404: notFound, ...readRefusals },
    },
    put: {
      operationId: 'putBusiness',
      tags,
      summary: 'Set up or change a business',
      description:
        'Changes the fields that it names; `null` clears. A business is not deleted: clear its URLs. A new ' +
        '`signing_secret` signs at once, and for 24 hours the former one signs too; another one in that time ends it.',
      requestParams: { path: businessPath },
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: businessChange,
            example: {
              name: 'Ten Realty',
              phone_numbers: ['+972501112222'],
              language: 'he',
              service_categories: ['sale', 'rent'],
              inbound_webhook_url: 'https://n8n.example/webhook/calls',
              outbound_webhook_url: 'https://n8n.example/webhook/placed',
            },
          },
        },
      },
      responses: {
        200: json('The business, changed.', changedBusiness),
        201: json('The business, new. Its `signing_secret` is shown here and never again.', changedBusiness),
        409: problem('A phone number belongs to another business; nothing was changed.'),
        ...changeRefusals,
      },
    },
  },
  '/admin/businesses/{business_id}/test-events': {
    post: {
      operationId: 'sendTestEvent',
      tags,
      summary: 'Send a test event',
      description:
        'Enqueues the webhook `callbox.test` for one direction. It goes the way of all others: read its delivery to see ' +
        'what the endpoint answered.',
      requestParams: { path: businessPath },
      requestBody: { required: true, content: { 'application/json': { schema: testEventOrder } } },
      responses: { 202: json('The delivery, enqueued.', testEvent), 404: notFound, ...changeRefusals },
    },
  },
}
