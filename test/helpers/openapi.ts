import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { type OpenApiDocument, openApiDocument } from '../../src/admin/openapi/document.ts'

/** One answer as it went over the wire. */
export interface SeenAnswer {
  method: string
  /** With or without a query. */
  path: string
  status: number
  header(name: string): string | null
  body: string
}

type Json = Record<string, unknown>
interface Described {
  headers?: Record<string, { $ref?: string; required?: boolean; schema?: Json }>
  content?: Record<string, { schema: Json }>
}
export interface Operation {
  operationId: string
  tags: string[]
  summary: string
  parameters?: { in: string; name: string; required?: boolean; schema: Json }[]
  requestBody?: { required?: boolean; content: Record<string, { schema: Json; example?: unknown }> }
  responses: Record<string, Described & { $ref?: string }>
}
type Methods = Record<string, Operation>

const anyProblem: Described = {
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}
const refusals = [400, 401, 404, 405, 413, 415, 429, 503]

/** Says what of an answer or a webhook an OpenAPI document does not describe. */
export class DocumentJudge {
  readonly document: OpenApiDocument
  readonly paths: Record<string, Methods>
  readonly webhooks: Record<string, Methods>
  readonly #closed: Record<string, object>
  readonly #ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strict: true, strictRequired: false })
  /** The schemas that `$ref`s name. */
  readonly definitions: Record<string, object>
  readonly #compiled = new WeakMap<Json, ValidateFunction>()
  readonly #templates: { pattern: RegExp; path: string }[]

  constructor(document: OpenApiDocument) {
    addFormats.default(this.#ajv)
    this.document = document
    this.paths = document.paths as unknown as Record<string, Methods>
    this.webhooks = document.webhooks as unknown as Record<string, Methods>
    this.definitions = (document.components?.schemas ?? {}) as Record<string, object>
    this.#closed = closed(this.definitions)
    this.#templates = Object.keys(this.paths).map((path) => ({
      path,
      pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}/?$`, 'i'),
    }))
  }

  /** `null`: all of it is described. */
  complaintAbout(answer: SeenAnswer): string | null {
    const { method, status } = answer
    const path = answer.path.replace(/\?.*/s, '')
    const found = this.#templates.find(({ pattern }) => pattern.test(path))
    const operations = found && this.paths[found.path]
    const isHead = method === 'HEAD'
    const operation = operations?.[isHead ? 'get' : method.toLowerCase()]
    if (operations === undefined || operation === undefined) return this.#refusal(answer, operations)
    const { responses, operationId } = operation
    const described = responses[status] ?? responses[`${String(status)[0]}XX`] ?? responses['default']
    if (described === undefined) return `${operationId} does not describe the status ${status}: ${answer.body}`
    const complaint = this.#complaint(this.#resolve(described), answer, isHead)
    return complaint === null ? null : `${operationId}, ${status}: ${complaint}`
  }

  /** `null`: the document describes this POST of a webhook. */
  complaintAboutWebhook(header: (name: string) => string | null, body: string): string | null {
    const { parameters = [] } = this.webhooks[JSON.parse(body).event_type]?.['post'] ?? {}
    for (const { name, schema } of parameters) {
      const mismatch = this.mismatch(schema, header(name))
      if (mismatch !== null) return `the header ${name}: ${mismatch}`
    }
    const type = header('content-type')
    return type === 'application/json' ? this.complaintAboutEvent(body) : `the content type is ${type}`
  }

  /** `null`: the document describes this body of a webhook, down to the order of its keys. */
  complaintAboutEvent(body: string): string | null {
    const event = JSON.parse(body)
    const schema = this.webhooks[event.event_type]?.['post']?.requestBody?.content['application/json']?.schema
    if (schema === undefined) return `the event ${event.event_type} is not described`
    const mismatch = this.mismatch(schema, event)
    if (mismatch !== null) return `${mismatch}: ${body}`
    const { properties = {} } = this.#resolve(schema) as { properties?: Json }
    return Object.keys(event).join() === Object.keys(properties).join()
      ? null
      : `its keys are in another order: ${body}`
  }

  /** Whether a value fits a schema of the document. @returns what does not fit; `null`: nothing. */
  mismatch(schema: Json, value: unknown): string | null {
    let validate = this.#compiled.get(schema)
    if (validate === undefined) {
      const own = JSON.stringify(closed(schema))
      const whole = own.includes('"$ref"') ? JSON.stringify({ ...JSON.parse(own), $defs: this.#closed }) : own
      validate = this.#ajv.compile(JSON.parse(whole.replaceAll('"#/components/schemas/', '"#/$defs/')))
      this.#compiled.set(schema, validate)
    }
    return validate(value) ? null : this.#ajv.errorsText(validate.errors, { dataVar: '' })
  }

  /** What the document does not say is refused, and by whom it is, says what there is. */
  #refusal(answer: SeenAnswer, operations: Methods | undefined): string | null {
    const { method, path, status } = answer
    const name = `${method} ${path}, which is not described`
    if (method === 'OPTIONS' && status === 200) return answer.header('allow') ? null : `${name}, has no Allow`
    if (!refusals.includes(status)) return `${name}, is answered ${status}`
    if (status === 405) {
      const allowed = Object.keys(operations ?? {}).map((one) => one.toUpperCase())
      const said = answer.header('allow')?.split(', ') ?? []
      if (said.toSorted().join() !== allowed.toSorted().join()) return `${name}: Allow is ${said}, not ${allowed}`
    }
    const complaint = this.#complaint(anyProblem, answer, method === 'HEAD')
    return complaint === null ? null : `${name}, ${status}: ${complaint}`
  }

  #complaint({ headers = {}, content }: Described, answer: SeenAnswer, withoutBody: boolean): string | null {
    for (const [name, given] of Object.entries(headers)) {
      const header = this.#resolve(given)
      const value = answer.header(name)
      if (value === null && header.required) return `the header ${name} is missing`
      const mismatch = value === null || !header.schema ? null : this.mismatch(header.schema, value)
      if (mismatch !== null) return `the header ${name}: ${mismatch}`
    }
    if (content === undefined) return answer.body === '' ? null : `there is a body: ${answer.body}`
    const type = answer.header('content-type')?.replace(/;.*/, '') ?? 'none'
    const media = content[type]
    if (media === undefined) return `the content type is ${type}: ${answer.body}`
    if (withoutBody) return answer.body === '' ? null : 'there is a body'
    const value = type.endsWith('json') ? JSON.parse(answer.body) : answer.body
    const mismatch = this.mismatch(media.schema, value)
    if (mismatch !== null) return `${mismatch}: ${answer.body}`
    if (type !== 'application/problem+json') return null
    return value.status === answer.status ? null : `its body tells another status: ${answer.body}`
  }

  #resolve<T extends { $ref?: string }>(given: T): T {
    if (given.$ref === undefined) return given
    const parts = given.$ref.slice(2).split('/')
    return parts.reduce<unknown>((at, part) => (at as Json)[part], this.document) as T
  }
}

export const judge = new DocumentJudge(openApiDocument('0.0.0', 'http://localhost'))

/** Objects may grow as far as clients are concerned; here a field that is not described is one that was forgotten. */
function closed<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(closed) as T
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).map(([key, value]) => [key, key === 'examples' ? value : closed(value)])
  const inner = Object.fromEntries(entries)
  const isOpen = inner.type === 'object' && inner.properties !== undefined && inner.additionalProperties === undefined
  return isOpen ? { ...inner, additionalProperties: false } : inner
}
