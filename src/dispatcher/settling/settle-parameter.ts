import type { Settlement } from './settler.ts'

/**
 * The parameter of `settleDeliveries`: an array of `webhook_settlement`, its columns in their order, in PostgreSQL's own
 * spelling (its documentation, "Composite Value Input", and "Array Input and Output Syntax" around it). `pg` would look at
 * each value for what it might be, which is most of what a settle costs this process.
 */
export function settleParameter(batch: readonly Settlement[]): string {
  let elements = ''
  for (const settlement of batch) elements += `${elements === '' ? '' : ','}"(${columnsOf(settlement)})"`
  return `{${elements}}`
}

/** An empty column is null. Of ids, numbers and words of our own none needs quoting. */
function columnsOf({ delivery, attempt, outcome }: Settlement): string {
  const { id, version, attemptCount } = delivery
  const { businessId } = delivery.route
  const isPending = outcome.status === 'pending'
  const moved = `${outcome.status},${quoted(outcome.reason)},${isPending ? outcome.waitMs : ''},${isPending ? outcome.step : delivery.step}`
  return `${businessId},${id},${version},${moved},${attempt === null ? noAttempt : attemptOf(attempt, attemptCount + 1)}`
}

const noAttempt = ',,,,,,,,'

function attemptOf({ id, startedMs, url, result }: NonNullable<Settlement['attempt']>, number: number): string {
  const { durationMs, statusCode, error, excerpt } = result
  const bytes = excerpt === null ? '' : `\\\\\\\\x${excerpt.toString('hex')}`
  return `${id},${number},${startedMs},${durationMs},${quoted(url)},${result.result},${statusCode ?? ''},${quoted(error)},${bytes}`
}

/** Receivers choose some of the words: a quote of theirs ends nothing. The quotes of a column are themselves within quotes. */
const quoted = (value: string | null): string => (value === null ? '' : `\\"${value.replace(/["\\]/g, '\\\\\\$&')}\\"`)
