type JsonSchema = Record<string, unknown>

const derived = ['type', 'pattern', 'enum', 'anyOf'] as const

/**
 * For `meta`: how the OpenAPI document shows a schema of which it cannot derive what it takes, because code checks it, or
 * because all values of a query and a path come as text.
 */
export const shownAs = (json: JsonSchema) => ({
  override: ({ jsonSchema }: { jsonSchema: JsonSchema }): void => {
    for (const key of derived) delete jsonSchema[key]
    Object.assign(jsonSchema, json)
  },
})
