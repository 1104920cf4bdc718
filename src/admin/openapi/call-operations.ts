import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { call, callDetails, callDetailsChange, callList, callListQuery, callPath } from '../schemas/call.ts'
import { callbackList, callbackListQuery } from '../schemas/callback.ts'
import { changeRefusals, json, problem, readRefusals } from './answers.ts'

const tags = ['Calls']
const notFound = problem('There is no such call: no callback of it has been matched to a business.')

export const callOperations: ZodOpenApiPathsObject = {
  '/admin/calls': {
    get: {
      operationId: 'listCalls',
      tags,
      summary: 'List calls',
      description: 'Newest first, without what was said in them.',
      requestParams: { query: callListQuery },
      responses: { 200: json('A page of calls.', callList), ...readRefusals },
    },
  },
  '/admin/calls/{call_sid}': {
    get: {
      operationId: 'getCall',
      tags,
      summary: 'Show a call with its transcript',
      requestParams: { path: callPath },
      responses: { 200: json('The call.', call), 404: notFound, ...readRefusals },
    },
    patch: {
      operationId: 'changeCall',
      tags,
      summary: 'Say what the platform knows of a call',
      description:
        'Before or during the call: it need not be known here yet. Changes the fields that it names; `null` clears.',
      requestParams: { path: callPath },
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: callDetailsChange,
            example: { lead_id: '123', agent_name: 'Assistant', metadata: { campaign: 'spring' } },
          },
        },
      },
      responses: {
        200: json('What is known of the call.', callDetails),
        409: problem('The call is completed and its event is made.'),
        ...changeRefusals,
      },
    },
  },
  '/admin/calls/{call_sid}/reprocess': {
    post: {
      operationId: 'reprocessCall',
      tags,
      summary: 'Process a failed or completed call again',
      description:
        'No recording is transcribed twice, and the steps that a failed call has finished are kept. A completed call is summarised again from all of its recordings, including those that came after its completion; its results change, and no second event is sent.',
      requestParams: { path: callPath },
      responses: {
        202: json('The call, queued.', call),
        404: notFound,
        409: problem('The call is already in the pipeline, or has no recording yet.'),
        ...changeRefusals,
      },
    },
  },
  '/admin/callbacks': {
    get: {
      operationId: 'listCallbacks',
      tags: ['Callbacks'],
      summary: 'List stored callbacks of Twilio',
      description: 'Newest first. With `matched=false` those that belong to no business yet.',
      requestParams: { query: callbackListQuery },
      responses: { 200: json('A page of callbacks.', callbackList), ...readRefusals },
    },
  },
}
