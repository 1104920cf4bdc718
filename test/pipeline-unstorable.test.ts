import { expect, test } from 'vitest'
import { createTestDatabase } from './helpers/database.ts'
import { callOf, newWords, payloadsOf, reaches, setStage } from './helpers/pipeline.ts'

const database = await createTestDatabase()
const stage = await setStage(database)
await stage.start()

test('what PostgreSQL cannot hold of a transcript is left out, and the rest is delivered', async () => {
  const words = newWords()
  const call = await stage.record({
    ...words,
    transcript: `a\0b \ud800 ${words.transcript}`,
    summary: `s\0 ${words.summary}`,
  })
  stage.teach({ ...words, transcript: `ab \ufffd ${words.transcript}`, summary: `s\0 ${words.summary}` })
  await reaches(database, call, 'completed')
  expect(stage.askedFor(call)).toMatchObject({ audio: 1, transcript: 1 })
  const [payload] = await payloadsOf(database, call)
  expect(JSON.stringify(payload)).not.toContain('\\u0000')
})

test.each([
  ['a transcript', 'call_recordings', 'new.transcript is not null', { transcript: 1, summary: 0 }],
  ['a summary', 'call_steps', "new.step = 'summary' and new.result is not null", { transcript: 1, summary: 1 }],
])(
  '%s that the database refuses for its value is no outage, and is not paid for again',
  async (_what, table, when, asked) => {
    // Class 22, as PostgreSQL raises it for a value that the encoding or the type cannot hold.
    await database.pool.query(`
    create function callbox.refuse() returns trigger language plpgsql as $$
    begin raise exception 'unsupported Unicode escape sequence' using errcode = '22P05'; end $$`)
    await database.pool.query(
      `create trigger refuse before insert or update on callbox.${table} for each row when (${when}) execute function callbox.refuse()`,
    )
    const call = await stage.record(newWords())
    const row = await reaches(database, call, 'failed')
    await database.pool.query('drop function callbox.refuse() cascade')
    expect(row.error).toContain('the database cannot hold the result of this step (22P05)')
    expect(stage.askedFor(call)).toMatchObject({ audio: 1, ...asked })
    expect(await callOf(database, call)).toMatchObject({ state: 'failed' })
  },
)
