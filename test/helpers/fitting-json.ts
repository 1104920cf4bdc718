import fc from 'fast-check'
import { hostileJson, mostly } from './hostile-values.ts'

type Text = fc.Arbitrary<string>

/** What of JSON Schema the document uses and values are made from. */
interface Schema {
  $ref?: string
  anyOf?: Schema[]
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  examples?: unknown[]
  properties?: Record<string, Schema>
  items?: Schema
  minimum?: number
  maximum?: number
}

/**
 * JSON that fits a schema of the document, as far as the schema tells; now and then a field does not.
 *
 * @param definitions the schemas that `$ref`s name.
 */
export function fitting(definitions: Record<string, object>): (schema: object) => Text {
  return fits

  function fits(schema: Schema): Text {
    const { $ref, anyOf, type, items, minimum = 1, maximum = 1_000 } = schema
    if ($ref !== undefined) return fits(definitions[$ref.split('/').at(-1) ?? ''] ?? {})
    if (anyOf) return fc.oneof(...anyOf.map(fits))
    if (Array.isArray(type)) return fc.oneof(...type.map((one) => fits({ ...schema, type: one })))
    if (type === 'null') return fc.constant('null')
    const given = schema.const === undefined ? (schema.enum ?? schema.examples) : [schema.const]
    if (given) return fc.constantFrom(...given.map((value) => JSON.stringify(value)))
    if (schema.properties) return object(schema.properties)
    if (items) return fc.array(fits(items), { maxLength: 3 }).map((all) => `[${all.join()}]`)
    if (type === 'boolean') return fc.boolean().map(String)
    if (type === 'integer' || type === 'number') {
      return fc.integer({ min: Math.ceil(minimum), max: maximum }).map(String)
    }
    return type === 'string' ? fc.string({ maxLength: 20 }).map((text) => JSON.stringify(text)) : hostileJson
  }

  function object(properties: Record<string, Schema>): Text {
    const fields = Object.entries(properties).map(([name, schema]) =>
      fc.option(mostly(fits(schema), hostileJson).map((text) => `${JSON.stringify(name)}:${text}`)),
    )
    return fc.tuple(...fields).map((all) => `{${all.filter((field) => field !== null).join()}}`)
  }
}
