import { z } from 'zod'
import { Problem } from '../../problems.ts'
import { readFields } from '../../read-request.ts'
import { type Business, type BusinessChange, businessChange } from '../../schemas/business.ts'
import type { ProblemField } from '../../schemas/problem.ts'

/** The settings of a business as texts of a form; an empty one is none. */
export const settingsForm = z.object({
  name: z.string(),
  /** One a line. */
  phone_numbers: z.string(),
  inbound_webhook_url: z.string(),
  outbound_webhook_url: z.string(),
  generic_webhook_url: z.string(),
  language: z.string(),
  /** One a line. */
  service_categories: z.string(),
  max_concurrency: z.string(),
  rate: z.enum(['none', 'zapier', 'own']).describe('none, zapier or own'),
  /** Of `own`. */
  rate_per_second: z.string(),
})

export type SettingsForm = z.infer<typeof settingsForm>

export const noSettings: SettingsForm = {
  ...{ name: '', phone_numbers: '', inbound_webhook_url: '', outbound_webhook_url: '', generic_webhook_url: '' },
  ...{ language: '', service_categories: '', max_concurrency: '', rate: 'none', rate_per_second: '' },
}

export function toSettingsForm(business: Business): SettingsForm {
  return {
    name: business.name,
    phone_numbers: business.phone_numbers.join('\n'),
    inbound_webhook_url: business.inbound_webhook_url ?? '',
    outbound_webhook_url: business.outbound_webhook_url ?? '',
    generic_webhook_url: business.generic_webhook_url ?? '',
    language: business.language,
    service_categories: business.service_categories.join('\n'),
    max_concurrency: business.max_concurrency?.toString() ?? '',
    rate: business.rate_per_second === null ? 'none' : 'own',
    rate_per_second: business.rate_per_second?.toString() ?? '',
  }
}

/** @throws {Problem} 400, with what is wrong with each field of the form in its own words. */
export function toChange(form: SettingsForm): BusinessChange {
  const text = (field: 'inbound_webhook_url' | 'outbound_webhook_url' | 'generic_webhook_url' | 'language') =>
    form[field].trim() || null
  const input = {
    name: form.name.trim() || null,
    phone_numbers: numbersOf(form),
    inbound_webhook_url: text('inbound_webhook_url'),
    outbound_webhook_url: text('outbound_webhook_url'),
    generic_webhook_url: text('generic_webhook_url'),
    language: text('language'),
    service_categories: linesOf(form.service_categories),
    max_concurrency: numberOf(form.max_concurrency),
    rate_per_second: rateOf(form),
  }
  try {
    return readFields(input, businessChange, true)
  } catch (error) {
    throw error instanceof Problem ? ofForm(error, form) : error
  }
}

/** What an operation or a schema says of a list is said of its line, by the name of the form's field. */
export function ofForm(problem: Problem, form: SettingsForm): Problem {
  const fields = problem.fields.map(({ field, detail }): ProblemField => {
    const [, list, place] = /^(\w+)\[(\d+)\]$/.exec(field) ?? []
    // Zapier's limit and none at all are choices beside this field.
    if (field === 'rate_per_second') return { field, detail: detail.replace(/, zapier for .*$/, '') }
    if (list === undefined) return { field, detail: inWords(detail) }
    const lines = list === 'phone_numbers' ? numbersOf(form) : linesOf(form.service_categories)
    const line = lines[Number(place)] ?? ''
    return { field: list, detail: detail.startsWith('got ') ? inWords(detail) : `${line} ${detail}` }
  })
  return new Problem(problem.status, problem.message, fields)
}

/** Forms have no `null`: their fields are left empty. */
export const inWords = (detail: string): string => detail.replace(/,? or null\b.*$/, ', or nothing')

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')

/** Numbers as people write them, `+972 50-123-4567`, are E.164 with signs between. */
const numbersOf = (form: SettingsForm): string[] =>
  linesOf(form.phone_numbers).map((line) => line.replace(/[\s().-]/g, ''))

/** Anything but a plain number is left to the schema, which says what it takes. */
const numberOf = (text: string): string | number | null => {
  const trimmed = text.trim()
  if (trimmed === '') return null
  return /^\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed
}

function rateOf({ rate, rate_per_second: own }: SettingsForm): string | number | null {
  if (rate === 'none') return null
  // A text that is no number, so that the schema says that one is missing; `zapier` is its own word for 30.
  return rate === 'zapier' ? 'zapier' : (numberOf(own.replace(/^\s*zapier\s*$/, '?')) ?? '')
}
