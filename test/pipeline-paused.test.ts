import { beforeEach, expect, test } from 'vitest'
import { overviewPart } from '../src/admin/console/overview-view.ts'
import { OverviewReader } from '../src/admin/overview-reader.ts'
import { overview } from '../src/admin/schemas/overview.ts'
import { openAiErrors } from '../src/demo/openai-errors.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { newWords, reaches, type Stage, setStage } from './helpers/pipeline.ts'

let database: TestDatabase
let stage: Stage
beforeEach(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

/** As read by an API that shares only the database with the workers. */
const read = async () => overview.parse(await new OverviewReader(database.knex).read())
const findingsOf = async () => (await read()).findings.filter(({ code }) => code === 'pipeline_paused')

test('the overview says that calls wait, for what and since when, until a worker with right settings is answered', async () => {
  stage.openai.answers.always('/audio/transcriptions', openAiErrors.badKey)
  const worker = await stage.start()
  expect((await read()).pipeline.paused).toEqual([])
  const call = await stage.record(newWords())
  const first = await eventually('the pause is stored', async () => {
    const { pipeline } = await read()
    return pipeline.paused[0]
  })
  expect(first).toMatchObject({ step: 'transcript', error: expect.stringContaining('OPENAI_API_KEY'), until: null })
  const refusals = () => stage.openai.requests.length
  const before = refusals()
  await eventually('it is probed', () => refusals() >= before + 2)
  const [later, ...others] = (await read()).pipeline.paused
  expect(others).toEqual([])
  expect(later?.since).toBe(first.since)
  await worker.stop()
  expect(await findingsOf()).toEqual([
    {
      code: 'pipeline_paused',
      severity: 'trouble',
      detail: `Calls wait at transcript since ${first.since.slice(0, 19)}Z, and none fails: ${first.error}.`,
    },
  ])
  const page = String(overviewPart(await read()))
  expect(page).toContain(`<bdi>${first.error}</bdi>`)
  expect(page).toContain('Calls wait at transcript since')

  stage.openai.answers.always('/audio/transcriptions', null)
  await stage.start()
  await reaches(database, call, 'completed')
  await eventually('the pause is over', async () => (await read()).pipeline.paused.length === 0)
  expect(await findingsOf()).toEqual([])
})

test('a rate limit is shown with its end, and is a finding only if it lasts', async () => {
  stage.openai.answers.queue('/audio/transcriptions', openAiErrors.rateLimited(40))
  await stage.start()
  await stage.record(newWords())
  const [hold] = await eventually('the hold is stored', async () => {
    const { pipeline } = await read()
    return pipeline.paused.length > 0 && pipeline.paused
  })
  expect(hold).toMatchObject({ step: null, error: expect.stringContaining('limits its rate') })
  expect(Date.parse(hold?.until ?? '') - Date.parse(hold?.since ?? '')).toBeCloseTo(40_000, -3)
  expect(await findingsOf()).toEqual([])
  await database.pool.query(`update callbox.model_service_holds set held_until = now() + interval '1 hour'`)
  expect(await findingsOf()).toMatchObject([{ severity: 'warning' }])
  expect(String(overviewPart(await read()))).toContain('limits its rate')
})
