import type { CreateDocumentOptions } from 'zod-openapi'

type Override = Extract<CreateDocumentOptions['override'], (...parameters: never) => unknown>
type JsonSchema = Parameters<Override>[0]['jsonSchema']

/** Leaves out of a schema what tells a reader nothing, and says the rest in fewer words. */
export const readableSchema: Override = ({ jsonSchema, io }) => {
  // zod spells these formats out as patterns of hundreds of characters.
  if (jsonSchema.format === 'date-time' || jsonSchema.format === 'uuid') delete jsonSchema.pattern
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
  // Answers may grow: a client has to take what it does not know.
  if (io === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  const [inner, nothing, ...others] = jsonSchema.anyOf ?? []
  if (inner !== undefined && nothing?.type === 'null' && others.length === 0) joinNull(jsonSchema, inner)
}

/** `string | null` in place of any of a string and a null, as viewers show it best. */
function joinNull(outer: JsonSchema, inner: JsonSchema): void {
  if (typeof inner.type !== 'string') {
    if (inner.anyOf) outer.anyOf = [...inner.anyOf, { type: 'null' }]
    return
  }
  delete outer.anyOf
  Object.assign(outer, { ...inner, ...outer, type: [inner.type, 'null'] })
  if (inner.enum) outer.enum = [...inner.enum, null]
}
