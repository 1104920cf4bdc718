import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { startEmbeddedDatabase } from '../src/database/embedded.ts'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { AdminClient } from '../src/demo/admin-client.ts'
import { startOpenAiStandIn } from '../src/demo/openai-stand-in.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { callStatusParams, postCallback, recordingStatusParams } from '../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn } from '../src/demo/twilio-stand-in.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, enqueue } from './helpers/outbox.ts'
import { type ServiceProcess, startProcess } from './helpers/processes.ts'
import { newCall } from './helpers/twilio.ts'

const account = { accountSid: `AC${'c'.repeat(32)}`, authToken: 'restart-auth-token' }
const adminToken = 'restart-admin-token'
const secret = `whsec_${randomBytes(24).toString('base64')}`

/** Understands every recording in the same way. */
const mind = {
  transcribe: () => 'I have a flat to rent.',
  chat: ({ schema }: { schema: unknown }) =>
    schema === null ? 'A flat to rent in Haifa.' : { city: 'Haifa', service_category: null },
}

test('PostgreSQL stopped at once and started again under all three roles: they come back, nothing is lost', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-restart-'))
  const options = { directory: join(directory, 'pg'), password: 'test-password', settings: ['fsync=off'] }
  let server = await startEmbeddedDatabase({ ...options, port: 0 })
  const pool = new pg.Pool({ connectionString: server.url, options: `-c search_path=${defaultSchema}` })
  pool.on('error', () => undefined)
  const [twilio, openai, receiver] = await Promise.all([
    startTwilioStandIn(account),
    startOpenAiStandIn('sk-restart', mind),
    startReceiver(),
  ])
  onTestFinished(async () => {
    await pool.end()
    await server.stop()
    for (const standIn of [twilio, openai, receiver]) await standIn.close()
    rmSync(directory, { recursive: true, force: true })
  })
  await migrate(server.url, defaultSchema)

  const settings = {
    PORT: '0',
    ADMIN_TOKEN: adminToken,
    CALLBOX_HOME: join(directory, 'home'),
    WEBHOOK_TIMEOUT: '40s',
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    TWILIO_API_URL: twilio.url,
    OPENAI_API_KEY: 'sk-restart',
    OPENAI_BASE_URL: openai.baseUrl,
  }
  const roles = ['api', 'worker', 'dispatcher'].map((role) => startProcess([role], server.url, settings))
  await Promise.all(roles.map((role) => role.ready()))
  const ports = await Promise.all(roles.map((role) => portOf(role)))
  const apiUrl = `http://127.0.0.1:${ports[0]}`
  const readiness = () => Promise.all(ports.map((port) => isReady(port)))
  const admin = new AdminClient(apiUrl, adminToken, AbortSignal.timeout(60_000))
  await admin.putBusiness('10', {
    phone_numbers: ['+97237654321'],
    inbound_webhook_url: receiver.endpoint('/ten', secret),
    signing_secret: secret,
  })

  /** A call ends: Twilio has it and its recording. Returns how the callbacks were answered. */
  const callback = async (call: ReturnType<typeof newCall>, kind: 'call_status' | 'recording_status') => {
    const params =
      kind === 'call_status' ? callStatusParams(account, call) : recordingStatusParams(account, call, twilio.url)
    return await postCallback(account.authToken, `http://localhost:${ports[0]}/webhook/${kind}`, params, apiUrl)
  }
  const over = () => {
    const call = newCall()
    twilio.addCall(call)
    twilio.addRecording(call.recordingSid, randomBytes(1_000))
    return call
  }
  const report = async (call: ReturnType<typeof newCall>) => [
    await callback(call, 'call_status'),
    await callback(call, 'recording_status'),
  ]
  const postsFor = (callSid: string) =>
    receiver.posts.filter((post) => JSON.parse(String(post.body)).call_id === callSid)
  const untilPosted = (callSid: string) => eventually(`${callSid} is posted`, () => postsFor(callSid).length > 0)

  // One call is through, one POST is in flight, one call is with the transcriber, when the database goes.
  const [before, inFlight, inTranscription, during] = [over(), over(), over(), over()]
  expect(await report(before)).toEqual([204, 204])
  await untilPosted(before.callSid)
  receiver.answers.queue('/ten', 'hang')
  expect(await report(inFlight)).toEqual([204, 204])
  await untilPosted(inFlight.callSid)
  openai.answers.queue('/audio/transcriptions', 'hang')
  expect(await report(inTranscription)).toEqual([204, 204])
  await eventually('the transcription hangs', () => openai.answers.hanging === 1)
  const waiting = []
  for (let n = 0; n < 50; n += 1) waiting.push(await enqueue({ pool }, '10', `CA-waiting-${n}`))

  process.kill(server.postmasterPid, 'SIGQUIT')
  await server.ended
  await eventually(
    'all roles say that they are not ready',
    async () => String(await readiness()) === 'false,false,false',
  )
  // Kept on disk.
  expect(await report(during)).toEqual([204, 204])
  // The answers that they wait for come while there is nowhere to record them.
  receiver.answers.release({ status: 200, body: 'thank you' })
  openai.answers.release({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'I have a flat to rent.' }),
  })

  server = await startEmbeddedDatabase({ ...options, port: server.port })
  await eventually('all roles are ready again', async () => String(await readiness()) === 'true,true,true')
  const calls = [before, inFlight, inTranscription, during]
  for (const { callSid } of calls) await untilPosted(callSid)
  await eventually('everything is delivered', async () => {
    const { rows } = await pool.query(
      'select status, count(*)::int as n from callbox.webhook_deliveries group by status',
    )
    return rows.length === 1 && rows[0].status === 'delivered' && rows[0].n === calls.length + waiting.length
  })
  for (const { callSid } of calls) {
    const [post] = postsFor(callSid)
    expect(await attemptsOf({ pool }, post?.webhookId ?? '')).toMatchObject([{ result: 'ok', status_code: 200 }])
  }
  const counts = new Map<string, number>()
  for (const { webhookId } of receiver.posts) counts.set(webhookId, (counts.get(webhookId) ?? 0) + 1)
  expect(counts.size).toBe(calls.length + waiting.length)
  expect([...counts.values()].filter((count) => count !== 1)).toEqual([])

  // No role has been started again by anybody.
  for (const role of roles) expect(role.log.filter(({ event }) => event === 'service.ready')).toHaveLength(1)
  for (const role of roles.toReversed()) {
    role.signal('SIGTERM')
    expect(await role.exited()).toBe(0)
  }
})

async function portOf(role: ServiceProcess): Promise<number> {
  return Number((await role.untilLogged('service.listening'))['port'])
}

async function isReady(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  await answer.arrayBuffer()
  return answer.status === 200
}
