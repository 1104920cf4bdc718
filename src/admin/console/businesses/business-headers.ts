import type { Request } from 'express'
import { Problem } from '../../problems.ts'
import { readFields } from '../../read-request.ts'
import { businessChange } from '../../schemas/business.ts'
import { type Html, html } from '../html.ts'
import { inWords } from './business-settings.ts'

/** Empty rows for new headers. */
const newRows = 3
/** Callbox takes at most 32 headers, so more rows than this are none of our form's. */
const mostRows = 100

interface HeaderRow {
  name: string
  value: string
  isRemoved: boolean
}

/** The rows of a sent form, in their order. */
export function readHeaderRows(request: Request): HeaderRow[] {
  const body = request.body as Record<string, unknown>
  const text = (name: string): string => (typeof body[name] === 'string' ? body[name] : '')
  return Array.from({ length: mostRows }, (_, place) => ({
    name: text(`name_${place}`).trim(),
    value: text(`value_${place}`).trim(),
    isRemoved: text(`remove_${place}`) !== '',
  })).filter(({ name }) => name !== '')
}

/**
 * The headers as they are to be: a row with a value adds its header or replaces it, one without leaves it as it is.
 *
 * @param stored `null`: they cannot be decrypted, so only what is given anew is left.
 * @throws {Problem} 400; it tells no value.
 */
export function mergeHeaders(stored: Record<string, string> | null, rows: readonly HeaderRow[]) {
  const headers = new Map(Object.entries(stored ?? {}).map(([name, value]) => [name.toLowerCase(), { name, value }]))
  for (const { name, value, isRemoved } of rows) {
    const key = name.toLowerCase()
    const isKept = value === '' && headers.has(key)
    if (isRemoved) headers.delete(key)
    else if (!isKept) headers.set(key, { name, value })
  }
  const merged = Object.fromEntries([...headers.values()].map(({ name, value }) => [name, value]))
  try {
    const { headers: read } = readFields({ headers: merged }, businessChange.pick({ headers: true }), false)
    return read !== undefined && read !== null && Object.keys(read).length > 0 ? read : null
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    const fields = error.fields.map(({ field, detail }) => ({ field, detail: ofRow(field, detail) }))
    throw new Problem(error.status, error.message, fields)
  }
}

function ofRow(field: string, detail: string): string {
  const expected = inWords(detail).replace(/^got .*; expected an object of/, 'Expected')
  const name = field.replace(/^headers\.?/, '')
  return name === '' ? expected : `${name} cannot be sent so. ${expected}`
}

/** @param names of those that are set; `null`: they cannot be decrypted. @param entered names of new ones, to go on with. */
export function headerFields(names: readonly string[] | null, entered: readonly string[], error: string | null): Html {
  const known = (names ?? []).map(
    (name, place) => html`<tr>
<th scope="row" data-label="Name"><bdi class="mono">${name}</bdi><input type="hidden" name="name_${place}" value="${name}"></th>
<td data-label="Value"><input name="value_${place}" aria-label="New value of ${name}" placeholder="unchanged" autocomplete="off" spellcheck="false"></td>
<td data-label="Remove"><input type="checkbox" name="remove_${place}" value="yes" aria-label="Remove ${name}"></td>
</tr>`,
  )
  const first = known.length
  const fresh = Array.from({ length: Math.max(newRows, entered.length) }, (_, place) => {
    const number = place + 1
    return html`<tr>
<td data-label="Name"><input class="mono" name="name_${first + place}" value="${entered[place] ?? ''}" aria-label="Name of new header ${number}" placeholder="name" autocomplete="off" spellcheck="false"></td>
<td data-label="Value"><input name="value_${first + place}" aria-label="Value of new header ${number}" placeholder="value" autocomplete="off" spellcheck="false"></td>
<td data-label=""></td>
</tr>`
  })
  return html`${error !== null && html`<p class="error" role="alert">${error}</p>`}
<div class="table cards"><table>
<thead><tr><th scope="col">Name</th><th scope="col">Value</th><th scope="col">Remove</th></tr></thead>
<tbody>${known}${fresh}</tbody></table></div>`
}
