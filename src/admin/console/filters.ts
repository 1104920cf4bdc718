import type { Request } from 'express'
import type { z } from 'zod'
import { Problem } from '../problems.ts'
import { readFields } from '../read-request.ts'
import { type Html, html } from './html.ts'

/** What a list is narrowed to by the fields of a GET form. */
export interface Filter<T> {
  /** `null`: a field is not what it takes. */
  query: T | null
  problem: Problem | null
  /** The fields as they were given, for the form and for links. */
  given: Record<string, string>
}

/** As browsers send what was put into a {@link timeField}: a time without its zone, which is UTC here. */
const localTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/

/** Reads the fields that are not empty, a form sends all of its fields, without the spaces that copying picks up. */
export function readFilter<T extends z.ZodObject>(request: Request, schema: T): Filter<z.infer<T>> {
  const entries = Object.entries(request.query)
    .map(([name, value]) => [name, typeof value === 'string' ? value.trim() : value] as const)
    .filter(([, value]) => value !== '')
  const given = Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name, withZone(value)]] : [])),
  )
  try {
    return { query: readFields({ ...Object.fromEntries(entries), ...given }, schema, true), problem: null, given }
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return { query: null, problem: error, given }
  }
}

const withZone = (value: string): string =>
  localTime.test(value) ? `${value}${value.length === 16 ? ':00' : ''}Z` : value

/** What is wrong with one field. */
export const errorOf = (problem: Problem | null, field: string): string | undefined =>
  problem?.fields.find((one) => one.field === field)?.detail

/** A time to filter by, with the browser's own help. It is UTC, as all times that pages show. */
export function timeField(name: string, label: string, { given, problem }: Filter<unknown>): Html {
  const at = Date.parse(given[name] ?? '')
  const value = Number.isNaN(at) ? (given[name] ?? '') : new Date(at).toISOString().slice(0, 19)
  const error = errorOf(problem, name)
  return html`<label class="field wide"><span>${label}, UTC</span>
<input name="${name}" type="datetime-local" step="1" value="${value}"${error ? html` aria-invalid="true"` : ''}>
${error && html`<span class="error">${error}</span>`}</label>`
}

/** What is said in place of a table without rows. @param what `delivery` or the like. */
export const noneOf = (what: string, nextCursor: string | null): string =>
  nextCursor === null ? `No ${what} matches.` : `No ${what} matches so far; the next page looks further back.`

/** Links to the page after this one, and back to the first. */
export function pager(path: string, given: Record<string, string>, nextCursor: string | null): Html {
  const { cursor, ...filter } = given
  const first = `${path}${queryOf(filter)}`
  const next = nextCursor === null ? null : `${path}${queryOf({ ...filter, cursor: nextCursor })}`
  if (cursor === undefined && next === null) return html``
  return html`<nav class="pager" aria-label="Pages">
${cursor !== undefined && html`<a class="button" href="${first}">First page</a>`}
${next !== null ? html`<a class="button" rel="next" href="${next}">Next page</a>` : html`<span class="end">This is the last page.</span>`}
</nav>`
}

/** What goes behind the path of a link; empty without a field. */
export function queryOf(fields: Record<string, string>): string {
  const text = new URLSearchParams(fields).toString()
  return text === '' ? '' : `?${text}`
}
