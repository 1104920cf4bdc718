import type { Settlement } from './settler.ts'

/**
 * The parameters of `settleDeliveries`, each an array in PostgreSQL's own spelling (its documentation, "Array Input and
 * Output Syntax"). `pg` would look at each element for what it might be, which is most of what a settle costs this process.
 */
export function settleParameters(batch: readonly Settlement[]): string[] {
  const plain = (value: (settlement: Settlement) => string | number | null): string => arrayOf(batch, value)
  const text = (value: (settlement: Settlement) => string | null): string =>
    arrayOf(batch, (settlement) => quoted(value(settlement)))
  return [
    plain(({ delivery }) => delivery.businessId),
    plain(({ delivery }) => delivery.id),
    plain(({ delivery }) => delivery.version),
    plain(({ outcome }) => outcome.status),
    text(({ outcome }) => outcome.reason),
    plain(({ outcome }) => (outcome.status === 'pending' ? outcome.waitMs : null)),
    plain(({ outcome, delivery }) => (outcome.status === 'pending' ? outcome.step : delivery.step)),
    plain(({ attempt }) => attempt?.id ?? null),
    plain(({ delivery }) => delivery.attemptCount + 1),
    plain(({ attempt }) => attempt?.startedMs ?? null),
    plain(({ attempt }) => attempt?.result.durationMs ?? null),
    text(({ attempt }) => attempt?.url ?? null),
    plain(({ attempt }) => attempt?.result.result ?? null),
    plain(({ attempt }) => attempt?.result.statusCode ?? null),
    text(({ attempt }) => attempt?.result.error ?? null),
    plain(({ attempt }) => hexOf(attempt?.result.excerpt ?? null)),
  ]
}

/** @param element needs no quoting, or is quoted. */
function arrayOf(batch: readonly Settlement[], element: (settlement: Settlement) => string | number | null): string {
  let elements = ''
  for (const settlement of batch) elements += `${elements === '' ? '' : ','}${element(settlement) ?? 'null'}`
  return `{${elements}}`
}

/** Receivers choose some of the words: a quote of theirs ends nothing. */
const quoted = (value: string | null): string | null => (value === null ? null : `"${value.replace(/["\\]/g, '\\$&')}"`)

/** The backslash of `bytea`'s hex format is itself quoted. */
const hexOf = (bytes: Buffer | null): string | null => (bytes === null ? null : `"\\\\x${bytes.toString('hex')}"`)
