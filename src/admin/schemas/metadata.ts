import { z } from 'zod'
import { shownAs } from './shown-as.ts'

const longestBytes = 16_384
const deepest = 20

export const metadataTakes =
  'a JSON object of at most 16384 bytes and 20 levels, without U+0000 and without whole numbers beyond 2^53 - 1 ' +
  '(send those as texts), or null for none'

/** What the platform wants to find in the payload again, unchanged: so nothing that JSON or PostgreSQL would change. */
export const metadata = z
  .custom<Record<string, unknown>>(
    (value) =>
      isPlainObject(value) && isUnchangeable(value) && Buffer.byteLength(JSON.stringify(value)) <= longestBytes,
  )
  .meta({ ...shownAs({ type: 'object' }), examples: [{ campaign: 'spring' }] })

const isPlainObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Without recursion: a body within the limit can be nested 100,000 levels deep, which is more than the stack takes. */
function isUnchangeable(root: unknown): boolean {
  const waiting: { value: unknown; level: number }[] = [{ value: root, level: 1 }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, level } = next
    if (typeof value === 'string' && !isStorable(value)) return false
    if (typeof value === 'number' && !isExact(value)) return false
    if (typeof value !== 'object' || value === null) continue
    if (level > deepest || !Object.keys(value).every(isStorable)) return false
    for (const inner of Object.values(value)) waiting.push({ value: inner, level: level + 1 })
  }
  return true
}

const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()
const isExact = (number: number): boolean =>
  Number.isFinite(number) && (!Number.isInteger(number) || Number.isSafeInteger(number))
