import { createDocument, type ZodOpenApiPathsObject } from 'zod-openapi'
import { businessOperations } from './business-operations.ts'
import { callOperations } from './call-operations.ts'
import { deliveryOperations } from './delivery-operations.ts'
import { oversightOperations } from './oversight-operations.ts'
import { describeParameters, readableSchema } from './readable.ts'
import { requeueOperations } from './requeue-operations.ts'
import { routeOperations } from './route-operations.ts'
import { serviceOperations } from './service-operations.ts'
import { twilioOperations } from './twilio-operations.ts'
import { webhooks } from './webhooks.ts'

export type OpenApiDocument = ReturnType<typeof createDocument>

const description = `Callbox turns a finished phone call into a webhook that arrives.

- **Operators** use the paths below \`/admin\`, with a bearer token of \`ADMIN_TOKEN\`.
- **Receivers** implement what is under *Webhooks*. Other programs enqueue events of their own with \`callbox.callbox_enqueue\`: their type and body are their own, the headers and what answers mean are the same.

Names are in snake_case and times are RFC 3339 in UTC. A page of a list has at most \`limit\` items, maybe fewer; \`next_cursor\` is the \`cursor\` of the next page, and null on the last. Fields may be added to answers. Errors are problem details (RFC 9457); a method that a path does not have is answered 405 with \`Allow\`.`

const tags = [
  { name: 'Webhooks', description: 'What Callbox posts to the endpoints of businesses.' },
  { name: 'Overview', description: 'Is everything all right?' },
  { name: 'Deliveries', description: 'One event for one business each, and every attempt to send it.' },
  { name: 'Requeues', description: 'Many deliveries, once more.' },
  { name: 'Routes', description: 'One direction of one business each: its health and its switch.' },
  { name: 'Businesses', description: 'The tenants and their settings.' },
  { name: 'Calls', description: 'Calls, their steps through the pipeline and their results.' },
  { name: 'Callbacks', description: 'What Twilio has sent, as it was stored.' },
  { name: 'Audit', description: 'Who changed what, and when.' },
  { name: 'Twilio', description: 'What Twilio calls.' },
  { name: 'Service', description: 'Whether it works, and what it speaks.' },
]

/** By path and method, with the schemas themselves. */
export const operations: ZodOpenApiPathsObject = {
  ...oversightOperations,
  ...deliveryOperations,
  ...requeueOperations,
  ...routeOperations,
  ...businessOperations,
  ...callOperations,
  ...twilioOperations,
  ...serviceOperations,
}

/**
 * The OpenAPI 3.1 document of all that the API process answers, but for the console, and of the webhooks that are sent.
 * It is made from the schemas that requests are read with and that answers have their types from.
 *
 * @param adminUrl where clients reach the admin API, without a trailing slash.
 * @param publicUrl what Twilio calls, if it is another address.
 */
export function openApiDocument(version: string, adminUrl: string, publicUrl = adminUrl): OpenApiDocument {
  const document = createDocument(
    {
      openapi: '3.1.1',
      info: { title: 'Callbox', version, description, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: adminUrl }],
      tags,
      security: [{ bearer: [] }],
      paths: operations,
      webhooks,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A token of `ADMIN_TOKEN`.' },
          twilioSignature: {
            type: 'apiKey',
            in: 'header',
            name: 'X-Twilio-Signature',
            description: "Twilio's signature of the URL and the form, by an auth token.",
          },
        },
      },
    },
    { override: readableSchema },
  )
  if (publicUrl !== adminUrl) {
    for (const path of Object.keys(twilioOperations)) {
      const item = document.paths?.[path]
      if (item) item.servers = [{ url: publicUrl }]
    }
  }
  describeParameters(document)
  return document
}
