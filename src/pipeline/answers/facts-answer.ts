import { z } from 'zod'
import { storableText } from '../outcome.ts'
import { jsonObjectsIn, lastJsonObject } from './json-in-text.ts'
import { isUnfinishedThought, withoutThoughts } from './thoughts.ts'
import { UnusableAnswer } from './unusable-answer.ts'

/** `''`: the call does not say. */
export const extractedFacts = z.object({ city: z.string(), service_category: z.string() })
export type ExtractedFacts = z.infer<typeof extractedFacts>

/** A missing or empty field means the same as `null`. */
const answeredFacts = z.object({ city: z.string().nullish(), service_category: z.string().nullish() })

/**
 * City and service category from a model's answer, wherever in it the JSON is.
 *
 * @param categories the business's categories, one of which must match; empty: any category.
 * @throws {UnusableAnswer} when there is no JSON of that form.
 */
export function readFactsAnswer(text: string, categories: readonly string[]): ExtractedFacts {
  // A model that omits the end tag may still end with the answer: JSON of the expected form is not a thought.
  const answer = isUnfinishedThought(text) ? (lastJsonObject(text) ?? '') : withoutThoughts(text)
  for (const found of jsonObjectsIn(answer)) {
    const object = withKnownKeys(found)
    const isAbout = 'city' in object || 'service_category' in object || Object.keys(object).length === 0
    const facts = isAbout ? answeredFacts.safeParse(object) : null
    if (!facts?.success) continue
    const category = knownCategory(facts.data.service_category ?? '', categories)
    if (category === null) continue
    const city = facts.data.city ?? ''
    return { city: isNotKnown(city) ? '' : storableText(city), service_category: storableText(category) }
  }
  throw new UnusableAnswer('gave no answer of the form that was asked for')
}

/** A server that is not held to the schema may spell its keys `City` or `serviceCategory`. */
function withKnownKeys(object: Record<string, unknown>): Record<string, unknown> {
  const known = new Map(Object.keys(answeredFacts.shape).map((key) => [plainKey(key), key]))
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [
      key in answeredFacts.shape ? key : (known.get(plainKey(key)) ?? key),
      value,
    ]),
  )
}

const plainKey = (key: string): string => key.toLowerCase().replace(/[^a-z]/g, '')

/** How models write "unknown". */
const isNotKnown = (text: string): boolean =>
  /^\W*(?:n\W?a|none|null|unknown|undefined|not (?:mentioned|specified|provided|stated|known|given|available|applicable))\W*$/i.test(
    text,
  )

/** `null`: not one of the business's categories. Ignores letter case and surrounding blanks. */
function knownCategory(answered: string, categories: readonly string[]): string | null {
  if (answered.trim() === '' || categories.length === 0) return answered
  const plain = (text: string): string => text.trim().normalize('NFC').toLowerCase()
  const named = categories.find((one) => one === answered) ?? categories.find((one) => plain(one) === plain(answered))
  return named ?? (isNotKnown(answered) ? '' : null)
}
