import fc from 'fast-check'
import { expect, test } from 'vitest'
import { settleParameter } from '../src/dispatcher/settling/settle-parameter.ts'
import type { Settlement } from '../src/dispatcher/settling/settler.ts'
import { createTestDatabase } from './helpers/database.ts'
import { dueDelivery } from './helpers/due-delivery.ts'

const database = await createTestDatabase()

interface Words {
  reason: string | null
  url: string
  error: string | null
  excerpt: Buffer | null
}

const ids = { delivery_id: crypto.randomUUID(), attempt_id: crypto.randomUUID() }
const delivery = dueDelivery({ id: ids.delivery_id, version: 3, attemptCount: 2, step: 1 })

const settlementOf = ({ reason, url, error, excerpt }: Words): Settlement => ({
  delivery,
  attempt: {
    ...{ id: ids.attempt_id, startedMs: 1_700_000_000_123.5, url },
    result: {
      ...{ result: 'http_error', statusCode: 500, error, excerpt, retryAfterMs: null, durationMs: 7 },
      keptConnectionClosed: false,
    },
  },
  outcome: { status: 'failed', reason: reason as string },
})

/** What PostgreSQL reads. */
const read = async (batch: readonly Settlement[]): Promise<Record<string, unknown>[]> =>
  (await database.pool.query('select * from unnest($1::webhook_settlement[])', [settleParameter(batch)])).rows

const moved = { business_id: '1', delivery_id: ids.delivery_id, version: '3' }

test('what receivers and tenants say reaches the database as it was, quotes, backslashes, commas and words like null', async () => {
  // A NUL is no text to PostgreSQL: the batch is rejected and taken apart (dispatcher: the answer cannot be stored).
  const text = fc
    .oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('null', 'NULL', '', '"', '""', '\\', '\\"', '{}', '()', ',', '\\x00', ' a ', '\n'),
    )
    .filter((value) => !value.includes('\0'))
  const words = fc.record({
    reason: fc.option(text),
    url: text,
    error: fc.option(text),
    excerpt: fc.option(fc.uint8Array().map((bytes) => Buffer.from(bytes))),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 8 }), async (batch) => {
      expect(await read(batch.map(settlementOf))).toEqual(
        batch.map(({ reason, url, error, excerpt }) => ({
          ...{ ...moved, status: 'failed', reason, wait_ms: null, step: 1, attempt_id: ids.attempt_id, number: 3 },
          ...{ started_ms: 1_700_000_000_123.5, duration_ms: 7, url, result: 'http_error', status_code: 500, error },
          response_excerpt: excerpt,
        })),
      )
    }),
  )
})

test('a delivery that is tried again later, and one of which nothing was sent', async () => {
  const again = { status: 'pending', reason: null, waitMs: 5_250.75, step: 2 } as const
  const nothingSent: Settlement = { delivery, attempt: null, outcome: again }
  const none = { attempt_id: null, number: null, started_ms: null, duration_ms: null, url: null, result: null }
  expect(await read([nothingSent])).toEqual([
    {
      ...{ ...moved, status: 'pending', reason: null, wait_ms: 5_250.75, step: 2 },
      ...{ ...none, status_code: null, error: null, response_excerpt: null },
    },
  ])
})
