import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { startEmbeddedDatabase } from '../src/database/embedded.ts'
import { createKnex } from '../src/database/knex.ts'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { eventually } from './helpers/eventually.ts'
import { newWords, payloadsOf, reaches, setStage } from './helpers/pipeline.ts'

test('PostgreSQL stopped and started again: the pipeline comes back by itself, and pays for nothing twice', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-outage-'))
  const options = { directory: join(directory, 'pg'), password: 'test-password', settings: ['fsync=off'] }
  let server = await startEmbeddedDatabase({ ...options, port: 0 })
  await migrate(server.url, defaultSchema)
  const pool = new pg.Pool({ connectionString: server.url, options: `-c search_path=${defaultSchema}` })
  pool.on('error', () => undefined)
  const database = { url: server.url, pool, knex: createKnex(server.url, defaultSchema, 'callbox test', 5) }
  afterAll(async () => {
    await pool.end()
    await database.knex.destroy()
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  const stage = await setStage(database)
  const pipeline = await stage.start()

  stage.openai.answers.queue('/audio/transcriptions', 'hang')
  const call = await stage.record(newWords())
  await eventually('the transcription hangs', () => stage.openai.answers.hanging === 1)
  await server.stop()
  stage.openai.answers.release({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: call.words.transcript }),
  })
  await eventually('the outage is noticed', () => stage.loggedAs('queue.error').length > 0)
  await expect(stage.record(newWords())).rejects.toThrow()
  await expect(pipeline.ready()).rejects.toThrow()
  server = await startEmbeddedDatabase({ ...options, port: server.port })

  await reaches(database, call, 'completed')
  expect(stage.askedFor(call)).toEqual({ audio: 1, transcript: 1, summary: 1, extraction: 1 })
  expect(await payloadsOf(database, call)).toHaveLength(1)
  await reaches(database, await stage.record(newWords()), 'completed')
  expect(await pipeline.ready()).toBeNull()
})
