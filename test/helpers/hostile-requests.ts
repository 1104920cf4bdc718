import fc from 'fast-check'
import { encodeCursor } from '../../src/admin/paging.ts'
import { fitting } from './fitting-json.ts'
import {
  hostileJson,
  hostilePart,
  hostileText,
  hugeBodies,
  malformedBodies,
  mostly,
  percentEncoded,
} from './hostile-values.ts'
import type { DocumentJudge, Operation } from './openapi.ts'

/** A request as it goes over the wire; nothing of it need make sense. */
export interface HostileRequest {
  method: string
  /** Path and query. */
  target: string
  headers: Record<string, string>
  /** `null`: none. */
  body: Buffer | null
}

type Headers = Record<string, string>
type Fits = ReturnType<typeof fitting>

const contentTypes = [
  ...[
    'text/plain',
    'application/xml',
    'multipart/form-data',
    'application/jsonx',
    'json',
    '',
    ';',
    'application/json,',
  ],
  ...['application/json; charset=latin1', 'application/json; charset=utf-16', 'application/json;charset="utf-8'],
]
const contentEncodings = ['gzip', 'deflate', 'br', 'identity', 'x', 'gzip, gzip', '']
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']
const formType = 'application/x-www-form-urlencoded'

/** Longer heads are refused by Node, before anything of ours. */
const longestTarget = 8_000

const cursorTime = mostly(fc.constant('2025-12-10T14:23:45.123456Z'), hostileText)
const headerText = fc.stringMatching(/^[\x21-\x7e\x80-\xff]{1,40}$/)

const otherHeaders = mostly<Headers>(
  fc.constant({}),
  fc.constantFrom(...contentEncodings).map((value) => ({ 'content-encoding': value })),
  fc.constantFrom(...contentTypes).map((value) => ({ 'content-type': value })),
  headerText.map((value) => ({ 'x-forwarded-for': value, 'x-forwarded-proto': value, cookie: value, accept: value })),
  headerText.map((value) => ({ 'if-none-match': value, range: value, 'accept-encoding': value })),
)

const wrongToken = fc.record({
  authorization: mostly(
    headerText.map((text) => `Bearer ${text}`),
    headerText,
  ),
  // By one address alone too many wrong tokens would soon close it.
  'x-forwarded-for': fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('198.51.100.1')),
})

/**
 * Requests to an operation: each part is as the operation takes it, or is not.
 *
 * @param entry the headers that let a request in.
 */
export function hostileRequests(
  judge: DocumentJudge,
  path: string,
  method: string,
  operation: Operation,
  entry: Headers,
): fc.Arbitrary<HostileRequest> {
  const fits = fitting(judge.definitions)
  const [type = 'application/json'] = Object.keys(operation.requestBody?.content ?? {})
  const parts = {
    method: mostly(fc.constant(method.toUpperCase()), fc.constantFrom(...methods)),
    path: pathsOf(path, operation, fits),
    query: queriesOf(operation, fits),
    body: bodiesOf(operation, fits),
    entry: mostly<Headers>(fc.constant(entry), wrongToken, fc.constant({})),
    others: otherHeaders,
  }
  return fc.record(parts).map(({ method, path, query, body, entry, others }) => {
    const headers = { ...(body === null ? {} : { 'content-type': type }), ...others, ...entry }
    return { method, target: `${path}${query}`.slice(0, longestTarget), headers, body }
  })
}

function pathsOf(path: string, { parameters = [] }: Operation, fits: Fits): fc.Arbitrary<string> {
  const inPath = parameters.filter((parameter) => parameter.in === 'path')
  const parts = inPath.map(({ schema }) => mostly(fits(schema).map(asText), hostilePart))
  return fc.tuple(...parts).map((values) => path.replaceAll(/\{\w+\}/g, () => values.shift() ?? ''))
}

function queriesOf({ parameters = [] }: Operation, fits: Fits): fc.Arbitrary<string> {
  const inQuery = parameters.filter((parameter) => parameter.in === 'query')
  const known = inQuery.map(({ name, schema }) =>
    fc.oneof(fits(schema).map(asText), hostilePart).map((value) => `${name}=${value}`),
  )
  const names = ['__proto__', 'constructor', 'limit', 'limit[]', 'limit[a]', 'cursor', 'cursor[0]', '%']
  const unknown = fc.tuple(fc.constantFrom(...names), hostilePart).map((pair) => pair.join('='))
  const cursor = fc.tuple(cursorTime, hostileText).map((key) => `cursor=${encodeCursor(...key)}`)
  const pair = fc.oneof(...known, unknown, cursor, hostilePart)
  const pairs = mostly(
    fc.array(fc.oneof(...known, pair), { maxLength: 3 }),
    fc.array(pair, { maxLength: 30, size: 'max' }),
  )
  return pairs.map((all) => (all.length === 0 ? '' : `?${all.join('&')}`))
}

function bodiesOf({ requestBody }: Operation, fits: Fits): fc.Arbitrary<Buffer | null> {
  const form = requestBody?.content[formType]
  const schema = requestBody?.content['application/json']?.schema ?? {}
  const right = form ? formsOf(form.schema) : mostly(fits(schema), hostileJson).map((text) => Buffer.from(text))
  const bodies = mostly<Buffer | null>(
    right,
    fc.constant(null),
    fc.constantFrom(...malformedBodies),
    fc.constantFrom(...hugeBodies),
    right.chain((whole) => fc.nat(whole.length).map((end) => whole.subarray(0, end))),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  )
  return requestBody ? bodies : mostly<Buffer | null>(fc.constant(null), bodies)
}

function formsOf({ properties = {} }: { properties?: object }): fc.Arbitrary<Buffer> {
  const name = mostly(fc.constantFrom(...Object.keys(properties)), hostilePart)
  const pair = fc.tuple(name, hostilePart).map((two) => two.join('='))
  return fc.array(pair, { maxLength: 8 }).map((pairs) => Buffer.from(pairs.join('&')))
}

/** A value of a path or a query. */
const asText = (json: string): string => percentEncoded(json.startsWith('"') ? String(JSON.parse(json)) : json)
