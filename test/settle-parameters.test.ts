import fc from 'fast-check'
import { expect, test } from 'vitest'
import { settleParameters } from '../src/dispatcher/settle-parameters.ts'
import type { Settlement } from '../src/dispatcher/settler.ts'
import { createTestDatabase } from './helpers/database.ts'

const database = await createTestDatabase()

interface Words {
  reason: string | null
  url: string
  error: string | null
  excerpt: Buffer | null
}

function settlementOf({ reason, url, error, excerpt }: Words): Settlement {
  const route = { name: '1:inbound', slot: 1 }
  return {
    delivery: {
      ...{ id: crypto.randomUUID(), route, businessId: '1', direction: 'inbound', callSid: 'CA1', eventType: 'e' },
      ...{ version: 3, attemptCount: 2, step: 1, requeued: false, createdMs: 0, payload: Buffer.from('{}') },
    },
    attempt: {
      ...{ id: crypto.randomUUID(), startedMs: 1_700_000_000_123.5, url },
      result: {
        ...{ result: 'http_error', statusCode: 500, error, excerpt, retryAfterMs: null, durationMs: 7 },
        keptConnectionClosed: false,
      },
    },
    outcome: { status: 'failed', reason: reason as string },
  }
}

test('what receivers and tenants say reaches the database as it was, quotes, backslashes, commas and words like null', async () => {
  // A NUL is no text to PostgreSQL: the batch is rejected and taken apart (dispatcher: the answer cannot be stored).
  const text = fc
    .oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('null', 'NULL', '', '"', '\\', '{}', ',', '\\x00', ' a ', '\n'),
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
      const [, , versions, statuses, reasons, waits, steps, , numbers, starts, , urls, , codes, errors, excerpts] =
        settleParameters(batch.map(settlementOf))
      const { rows } = await database.pool.query(
        `select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::integer[], $6::float8[])
           as t (reason, url, error, excerpt, version, "startedMs")`,
        [reasons, urls, errors, excerpts, versions, starts],
      )
      expect(rows).toEqual(batch.map((one) => ({ ...one, version: 3, startedMs: 1_700_000_000_123.5 })))
      expect([statuses, waits, steps, numbers, codes]).toEqual(
        ['failed', 'null', '1', '3', '500'].map((value) => `{${batch.map(() => value).join(',')}}`),
      )
    }),
  )
})
