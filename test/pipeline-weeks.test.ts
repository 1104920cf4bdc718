import { beforeAll, expect, test } from 'vitest'
import { openAiErrors } from '../src/demo/openai-errors.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { callOf, newWords, type RecordedCall, reaches, type Stage, setStage, stepsOf } from './helpers/pipeline.ts'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

/** The job of a call that an outage set back thousands of times, last sent weeks ago. */
async function waitForWeeks({ callSid }: RecordedCall, step: string): Promise<void> {
  const { rowCount } = await database.pool.query(
    `update callbox_jobs.job set
       data = data || jsonb_build_object('step', $2::text, 'tries', jsonb_build_object('outage', 5000)),
       created_on = created_on - interval '60 days', start_after = start_after - interval '60 days',
       keep_until = keep_until - interval '60 days'
     where singleton_key = $1`,
    [callSid, step],
  )
  expect(rowCount).toBe(1)
}

test.each(['audio', 'transcript', 'summary', 'extraction'])(
  'an outage of weeks at %s fails no call: it waits, says why, and goes on when the service is back',
  async (step) => {
    const call = await stage.record(newWords())
    await waitForWeeks(call, step)
    if (step === 'audio') stage.twilio.answers.always(call.recordingSid, { status: 503 })
    stage.openai.refuse = (request) => {
      const isAudio = 'transcription' in request
      const isExtraction = 'chat' in request && request.chat.format !== 'text'
      const asked = isAudio ? 'transcript' : isExtraction ? 'extraction' : 'summary'
      return asked === step ? openAiErrors.serverError : null
    }
    const worker = await stage.start()
    const retries = () => stage.loggedAs('call.retry').filter(({ call_sid }) => call_sid === call.callSid)
    await eventually('it is tried again', () => retries().length >= 2)
    expect(retries()[0]).toMatchObject({ step, tries: 5001, error: expect.stringMatching(/HTTP 50[03]/) })
    expect((await stepsOf(database, call))[step].error).toMatch(/HTTP 50[03]/)
    expect(await callOf(database, call)).toMatchObject({ state: 'processing', error: null })
    // Its job outlasts an outage of months.
    const { rows } = await database.pool.query(
      `select keep_until > now() + interval '300 days' as kept from callbox_jobs.job
       where singleton_key = $1 and state in ('created', 'retry', 'active')`,
      [call.callSid],
    )
    expect(rows).toContainEqual({ kept: true })
    stage.openai.refuse = () => null
    stage.twilio.answers.always(call.recordingSid, null)
    await reaches(database, call, 'completed')
    expect(stage.loggedAs('call.failed')).toEqual([])
    await worker.stop()
  },
)
