import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { auditList, auditListQuery } from '../schemas/audit.ts'
import { overview } from '../schemas/overview.ts'
import { json, plainRefusals, readRefusals } from './answers.ts'

export const oversightOperations: ZodOpenApiPathsObject = {
  '/admin/overview': {
    get: {
      operationId: 'getOverview',
      tags: ['Overview'],
      summary: 'Tell whether everything is all right',
      responses: { 200: json('How everything is.', overview), ...plainRefusals },
    },
  },
  '/admin/audit': {
    get: {
      operationId: 'listAudit',
      tags: ['Audit'],
      summary: 'List what operators have changed',
      description: 'Newest first. Orders that changed nothing are not recorded.',
      requestParams: { query: auditListQuery },
      responses: { 200: json('A page of changes.', auditList), ...readRefusals },
    },
  },
}
