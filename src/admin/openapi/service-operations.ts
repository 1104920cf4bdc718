import { z } from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { aliveAnswer, notReadyAnswer, readyAnswer } from '../../telemetry/health-answers.ts'
import { json } from './answers.ts'

const tags = ['Service']
/** Whoever watches a service or wants to know what it speaks holds no operator's token. */
const security: [] = []

export const serviceOperations: ZodOpenApiPathsObject = {
  '/healthz': {
    get: {
      operationId: 'getHealth',
      tags,
      summary: 'Tell whether the process is alive',
      security,
      responses: { 200: json('It is.', aliveAnswer) },
    },
  },
  '/readyz': {
    get: {
      operationId: 'getReadiness',
      tags,
      summary: 'Tell whether the process is fit for work',
      security,
      responses: { 200: json('It is.', readyAnswer), 503: json('It is not, and why.', notReadyAnswer) },
    },
  },
  '/readyz/callbacks': {
    get: {
      operationId: 'getCallbackReadiness',
      tags,
      summary: 'Tell whether callbacks of Twilio are accepted',
      description:
        'Includes callbacks kept on disk while the database is away. For the load balancer that Twilio calls.',
      security,
      responses: {
        200: json('They are accepted.', readyAnswer),
        503: json('They are not, with the reasons.', notReadyAnswer),
      },
    },
  },
  '/metrics': {
    get: {
      operationId: 'getMetrics',
      tags,
      summary: 'Read the metrics',
      security,
      responses: {
        200: { description: 'In the text format of Prometheus.', content: { 'text/plain': { schema: z.string() } } },
      },
    },
  },
  '/openapi.json': {
    get: {
      operationId: 'getOpenApiDocument',
      tags,
      summary: 'Read this document',
      security,
      responses: {
        200: json('This document.', z.looseObject({ openapi: z.string(), paths: z.looseObject({}) })),
        304: { description: 'It is as the `ETag` in `If-None-Match` says.' },
      },
    },
  },
}
