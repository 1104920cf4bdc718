import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { requeue, requeueDryRun, requeueList, requeueListQuery, requeueOrder, requeuePath } from '../schemas/requeue.ts'
import { changeRefusals, json, problem, readRefusals } from './answers.ts'

const tags = ['Requeues']
const notFound = problem('There is no such requeue.')

export const requeueOperations: ZodOpenApiPathsObject = {
  '/admin/requeues': {
    post: {
      operationId: 'startRequeue',
      tags,
      summary: 'Requeue all deliveries that match',
      description:
        'A job that survives a restart. It accepts the filter of the list of deliveries, without a `status` the failed and ' +
        'skipped ones, and none that is enqueued after the order. The routes’ own limits pace what is sent.',
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: requeueOrder,
            example: { status: 'failed', business_id: '10', since: '2025-12-10T00:00:00Z', dry_run: true },
          },
        },
      },
      responses: {
        200: json('With `dry_run`: how many match; nothing was changed.', requeueDryRun),
        202: json('The requeue runs.', requeue),
        ...changeRefusals,
      },
    },
    get: {
      operationId: 'listRequeues',
      tags,
      summary: 'List requeues',
      description: 'Newest first.',
      requestParams: { query: requeueListQuery },
      responses: { 200: json('A page of requeues.', requeueList), ...readRefusals },
    },
  },
  '/admin/requeues/{id}': {
    get: {
      operationId: 'getRequeue',
      tags,
      summary: 'Show how far a requeue has come',
      requestParams: { path: requeuePath },
      responses: { 200: json('The requeue.', requeue), 404: notFound, ...readRefusals },
    },
  },
  '/admin/requeues/{id}/stop': {
    post: {
      operationId: 'stopRequeue',
      tags,
      summary: 'Stop a requeue',
      description: 'What it has made due stays due. One that is stopped already is left as it is.',
      requestParams: { path: requeuePath },
      responses: {
        200: json('The requeue, stopped.', requeue),
        404: notFound,
        409: problem('It has ended by itself.'),
        ...changeRefusals,
      },
    },
  },
  '/admin/requeues/{id}/resume': {
    post: {
      operationId: 'resumeRequeue',
      tags,
      summary: 'Go on with a requeue that was stopped or failed',
      description: 'It goes on where it was. One that runs already is left as it is.',
      requestParams: { path: requeuePath },
      responses: {
        200: json('The requeue, running.', requeue),
        404: notFound,
        409: problem('It is done.'),
        ...changeRefusals,
      },
    },
  },
}
