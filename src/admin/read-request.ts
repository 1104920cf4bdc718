import type { Request } from 'express'
import { z } from 'zod'
import { Problem } from './problems.ts'
import type { ProblemField } from './schemas/problem.ts'

const longestEcho = 60
const mostFields = 20

/** @throws {Problem} 400, naming each field that is not what its schema describes. */
export function readQuery<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  return readFields(request.query, schema, true)
}

/** @throws {Problem} 400, as {@link readQuery}. */
export function readPath<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  return readFields(request.params, schema, true)
}

/** @throws {Problem} 415 for a body that is not called JSON, 400 for none and as {@link readQuery}. */
export function readBody<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  if (!isBodySent(request)) throw new Problem(400, 'got no body; expected a JSON object')
  if (request.body === undefined) throw new Problem(415, 'the body must be sent with Content-Type: application/json')
  return readFields(request.body, schema, false)
}

/** As {@link readBody}, but none at all is an empty object. */
export function readOptionalBody<T extends z.ZodObject>(request: Request, schema: T): z.infer<T> {
  return isBodySent(request) ? readBody(request, schema) : readFields({}, schema, false)
}

/** express makes an empty object of an empty body. */
function isBodySent(request: Request): boolean {
  const length = request.get('content-length')
  return request.get('transfer-encoding') !== undefined || (length !== undefined && length !== '0')
}

/**
 * As {@link readQuery}, for fields that are at hand.
 *
 * @param echo whether the strings of the input may come back in an error; those of a body can be secret.
 */
export function readFields<T extends z.ZodObject>(input: unknown, schema: T, echo: boolean): z.infer<T> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  const fields = new Map<string, ProblemField>()
  for (const { field, detail } of parsed.error.issues.flatMap((issue) => explain(issue, input, schema, echo))) {
    if (!fields.has(field)) fields.set(field, { field, detail })
    if (fields.size === mostFields) break
  }
  const [first] = fields.values()
  const detail = first === undefined || first.field === '' ? (first?.detail ?? '') : `${first.field}: ${first.detail}`
  throw new Problem(400, detail, [...fields.values()])
}

function explain(issue: z.core.$ZodIssue, input: unknown, schema: z.ZodObject, echo: boolean): ProblemField[] {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schema.shape).join(', ')
    return issue.keys.map((key) => ({
      field: shorten(key),
      detail: `is not known here; expected ${known || 'nothing'}`,
    }))
  }
  if (issue.path.length === 0) return [{ field: '', detail: `got ${describe(input, false)}; expected a JSON object` }]
  const name = String(issue.path[0])
  const value = issue.path.reduce<unknown>((at, key) => (isObject(at) ? at[String(key)] : undefined), input)
  const expected = descriptionOf(schema.shape[name]) ?? issue.message
  return [{ field: fieldName(issue.path), detail: `got ${describe(value, echo)}; expected ${expected}` }]
}

/** An optional field takes what the required one does. */
function descriptionOf(field: z.core.$ZodType | undefined): string | undefined {
  if (!(field instanceof z.ZodType)) return undefined
  if (field.description !== undefined) return field.description
  return field instanceof z.ZodOptional ? descriptionOf(field.unwrap()) : undefined
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function fieldName(path: readonly PropertyKey[]): string {
  const [first, ...rest] = path
  return rest.reduce<string>(
    (name, key) => name + (typeof key === 'number' ? `[${key}]` : `.${shorten(String(key))}`),
    String(first),
  )
}

function describe(value: unknown, echo: boolean): string {
  if (value === undefined) return 'nothing'
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value !== 'string') return 'an object'
  return echo ? JSON.stringify(shorten(value)) : `a text of ${value.length} characters`
}

const shorten = (text: string): string =>
  (text.length > longestEcho ? `${text.slice(0, longestEcho)}…` : text).toWellFormed()
