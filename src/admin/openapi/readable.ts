import type { CreateDocumentOptions, createDocument } from 'zod-openapi'

type Override = Extract<CreateDocumentOptions['override'], (...parameters: never) => unknown>
type JsonSchema = Parameters<Override>[0]['jsonSchema']

/** zod spells formats such as `date-time` out as patterns of 80 to 300 characters. */
const readablePattern = 60

/** Leaves out of a schema what tells a reader nothing, and says the rest in fewer words. */
export const readableSchema: Override = ({ jsonSchema, io }) => {
  shorten(jsonSchema)
  // Answers may grow: a client has to take what it does not know.
  if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  const [inner, nothing, ...others] = jsonSchema.anyOf ?? []
  if (inner !== undefined && nothing?.type === 'null' && others.length === 0) joinNull(jsonSchema, inner)
}

function shorten(schema: JsonSchema): void {
  if (schema.format !== undefined && (schema.pattern ?? '').length > readablePattern) delete schema.pattern
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum
}

/** `string | null` in place of any of a string and a null, as viewers show it best. */
function joinNull(outer: JsonSchema, inner: JsonSchema): void {
  shorten(inner)
  if (typeof inner.type !== 'string') {
    if (inner.anyOf) outer.anyOf = [...inner.anyOf, { type: 'null' }]
    return
  }
  delete outer.anyOf
  Object.assign(outer, { ...inner, ...outer, type: [inner.type, 'null'] })
  if (inner.enum) outer.enum = [...inner.enum, null]
}

/** Says of each parameter once what it is, beside its name. */
export function describeParameters({ paths = {}, webhooks = {} }: ReturnType<typeof createDocument>): void {
  for (const { get, put, post, patch } of [...Object.values(paths), ...Object.values(webhooks)]) {
    for (const parameter of [get, put, post, patch].flatMap((operation) => operation?.parameters ?? [])) {
      if ('$ref' in parameter || typeof parameter.schema !== 'object' || '$ref' in parameter.schema) continue
      const { description, ...schema } = parameter.schema
      Object.assign(parameter, { description: parameter.description ?? description, schema })
    }
  }
}
