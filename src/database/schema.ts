import { hash } from 'node:crypto'
import type pg from 'pg'

/** The value of `DATABASE_SCHEMA` that every statement in the source names. */
export const defaultSchema = 'callbox'

/** The schema of pg-boss's tables. */
export const jobsSchema = (schema: string): string => `${schema}_jobs`

/** The channel of hints; channels belong to the whole database. */
export const hintChannel = (schema: string): string => `${schema}_outbox`

/**
 * Comments, strings and quoted identifiers are skipped as a whole, except strings that name an object: cast to a `reg…` type, or
 * the argument of `to_reg…()`. Dollar-quoted text is not skipped: in our SQL it is the body of a function.
 */
const tokens = new RegExp(
  [
    /--[^\n]*|\/\*[\s\S]*?\*\//,
    /(?<=\bto_reg[a-z]+\()'(?<argument>[^']*)'/,
    /'(?<cast>[^']*)'(?=::reg)/,
    /\b[eE]'(?:\\[\s\S]|''|[^'\\])*'|'(?:[^']|'')*'/,
    /(?<![.\w$])(?<prefix>callbox(?:_jobs)?|"callbox(?:_jobs)?")\./,
    /"(?:[^"]|"")*"/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'g',
)

/** `sql` with the names of schema `callbox` and of `callbox_jobs` moved to `schema` and its jobs' schema. */
export function inSchema(sql: string, schema: string): string {
  if (schema === defaultSchema) return sql
  return sql.replace(tokens, (token, ...rest) => {
    const { argument, cast, prefix } = rest.at(-1) as Record<'argument' | 'cast' | 'prefix', string | undefined>
    if (prefix !== undefined) return `"${prefix.includes('_jobs') ? jobsSchema(schema) : schema}".`
    const name = argument ?? cast
    return name === undefined ? token : `'${inSchema(name, schema)}'`
  })
}

/** Texts kept per connection factory; inserts and filters of varying size could otherwise fill the memory. */
const maxKeptTexts = 1_000

interface NamedQuery {
  text: string
  name?: string
}

/**
 * A hook for new connections that moves every statement given to them to `schema`. It depends on no session setting, so it
 * holds behind PgBouncer in transaction mode and whatever `search_path` the role has.
 */
export function schemaOfConnections(schema: string): (client: pg.ClientBase) => void {
  if (schema === defaultSchema) return () => undefined
  const kept = new Map<string, string>()
  const moved = (text: string): string => {
    const known = kept.get(text)
    if (known !== undefined) return known
    if (kept.size >= maxKeptTexts) kept.clear()
    const result = inSchema(text, schema)
    kept.set(text, result)
    return result
  }
  return (client) => {
    const query = client.query as (...parameters: unknown[]) => unknown
    client.query = ((first: unknown, ...rest: unknown[]) =>
      query.call(
        client,
        typeof first === 'string' ? moved(first) : movedQuery(first, moved),
        ...rest,
      )) as typeof client.query
  }
}

function movedQuery(query: unknown, moved: (text: string) => string): unknown {
  if (typeof query !== 'object' || query === null || !('text' in query) || typeof query.text !== 'string') return query
  if ('submit' in query)
    throw new TypeError('a cursor or stream is not moved to DATABASE_SCHEMA: got one; expected text')
  const { name, ...others } = query as NamedQuery
  const text = moved(query.text)
  // A pooler may give this server session to the other schema's Callbox: same name, other statement.
  return name === undefined ? { ...others, text } : { ...others, text, name: statementName(text) }
}

/** A name for a prepared statement, made of its text: different statements never share one. */
export const statementName = (text: string): string => `callbox_${hash('sha256', text).slice(0, 16)}`
