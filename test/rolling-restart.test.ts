import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import type { Role } from '../src/config.ts'
import { type OpenAiMind, startOpenAiStandIn } from '../src/demo/openai-stand-in.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { loadSpeech } from '../src/demo/speech.ts'
import { callStatusParams, postCallback, recordingStatusParams } from '../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn } from '../src/demo/twilio-stand-in.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue } from './helpers/outbox.ts'
import { type ServiceProcess, startProcess } from './helpers/processes.ts'
import { startRoundRobin } from './helpers/round-robin.ts'
import { account, newCall, publicUrl, registerNumber } from './helpers/twilio.ts'

const database = await createTestDatabase()
const receiver = await startReceiver()
const twilio = await startTwilioStandIn(account)
const mind: OpenAiMind = {
  transcribe: () => 'a transcript',
  chat: ({ schema }) => (schema === null ? 'a summary' : { city: 'Haifa', service_category: 'rent' }),
}
const openAiKey = 'sk-rolling-restart'
const openai = await startOpenAiStandIn(openAiKey, mind)
const home = mkdtempSync(join(tmpdir(), 'callbox-rolling-'))
afterAll(async () => {
  await Promise.all([receiver.close(), twilio.close(), openai.close()])
  rmSync(home, { recursive: true, force: true })
})

const environment: Record<string, string> = {
  PORT: '0',
  PUBLIC_URL: publicUrl,
  ADMIN_TOKEN: 'the-operator-token',
  TWILIO_ACCOUNT_SID: account.accountSid,
  TWILIO_AUTH_TOKEN: account.authToken,
  TWILIO_API_URL: twilio.url,
  OPENAI_API_KEY: openAiKey,
  OPENAI_BASE_URL: openai.baseUrl,
  CALLBOX_HOME: home,
}

// An upgrade begins with the next version's migration, while this version goes on.
await database.pool.query(
  `insert into callbox_migrations (name, batch, migration_time) values ('999_of_the_next_version.ts', 99, now())`,
)

const businesses = Array.from({ length: 64 }, (_, n) => String(n + 1))
const calledNumber = '+97237654321'
for (const business of businesses) {
  const secret = await putBusiness(database, business, { inbound: `${receiver.url}/${business}` })
  receiver.endpoint(`/${business}`, secret)
}
await registerNumber(database, '1', calledNumber)
// Every second business is slow to answer, so that a dispatcher that stops always has something in flight.
for (const business of businesses.filter((_, n) => n % 2 === 1)) {
  receiver.answers.always(`/${business}`, (_request, response) => {
    setTimeout(() => response.writeHead(200).end(), 400)
  })
}

/** Commits an event for one business after the other, until it is stopped; then with the ids of all. */
function produceEvents(): { stop(): Promise<string[]> } {
  const ids: string[] = []
  let going = true
  const done = (async () => {
    for (let n = 0; going; n += 1) {
      ids.push(await enqueue(database, businesses[n % businesses.length] ?? '', `CA event ${n}`))
      await sleep(20)
    }
  })()
  return {
    async stop() {
      going = false
      await done
      return ids
    },
  }
}

interface EndedCall {
  callSid: string
  /** The status of each answer, or why there was none. */
  answers: (number | string)[]
}

/** Ends a call after the other, each with both of Twilio's callbacks, until it is stopped. */
function endCalls(sendTo: string): { stop(): Promise<EndedCall[]> } {
  const { mp3 } = loadSpeech('reminder')
  const ended: Promise<EndedCall>[] = []
  const endOne = async (): Promise<EndedCall> => {
    const call = newCall({ to: calledNumber })
    twilio.addRecording(call.recordingSid, mp3)
    twilio.addCall(call)
    const post = (kind: string, params: Record<string, string>): Promise<number | string> =>
      postCallback(account.authToken, `${publicUrl}/webhook/${kind}`, params, sendTo).catch(String)
    const answers = await Promise.all([
      post('call_status', callStatusParams(account, call)),
      post('recording_status', recordingStatusParams(account, call, twilio.url)),
    ])
    return { callSid: call.callSid, answers }
  }
  const timer = setInterval(() => ended.push(endOne()), 200)
  return {
    async stop() {
      clearInterval(timer)
      return await Promise.all(ended)
    },
  }
}

interface Member {
  role: Role
  process: ServiceProcess
}

const start = (role: Role): Member => ({ role, process: startProcess([role], database.url, environment) })

const portOf = async ({ process }: Member): Promise<number> =>
  Number((await process.untilLogged('service.listening'))['port'])

test('every process is restarted, one after another: nothing is lost, repeated, refused or tried twice', async () => {
  const balancer = await startRoundRobin()
  onTestFinished(() => balancer.close())
  const fleet = (['dispatcher', 'dispatcher', 'dispatcher', 'api', 'api', 'worker'] as const).map(start)
  const retired: Member[] = []
  const apiPorts = new Map<Member, number>()
  const join = async (member: Member): Promise<void> => {
    const port = await portOf(member)
    await member.process.ready()
    if (member.role !== 'api') return
    apiPorts.set(member, port)
    await balancer.add(port)
  }
  await Promise.all(fleet.map(join))

  const events = produceEvents()
  const calls = endCalls(balancer.url)
  await eventually('everything is under way', () => receiver.posts.length > 50)
  for (const [index, old] of fleet.entries()) {
    const postsBefore = receiver.posts.length
    old.process.signal('SIGTERM')
    expect(await old.process.exited()).toBe(0)
    const port = apiPorts.get(old)
    if (port !== undefined) {
      expect(balancer.refusals(port).join()).toContain('stopping: api')
      balancer.remove(port)
    }
    retired.push(old)
    const next = start(old.role)
    fleet[index] = next
    await join(next)
    await eventually('deliveries go on', () => receiver.posts.length > postsBefore + 20)
  }
  const ids = await events.stop()
  const ended = await calls.stop()

  expect(ended.flatMap(({ answers }) => answers).filter((status) => status !== 204)).toEqual([])
  await eventually('every call is completed', async () => {
    const { rows } = await database.pool.query(`select count(*)::int as n from calls where state = 'completed'`)
    return rows[0].n === ended.length
  })
  const { rows: deliveries } = await database.pool.query<{ id: string; call_sid: string }>(
    'select id, call_sid from webhook_deliveries',
  )
  const ofCalls = deliveries.filter(({ call_sid }) => ended.some(({ callSid }) => callSid === call_sid))
  expect(ofCalls).toHaveLength(ended.length)
  expect(deliveries).toHaveLength(ids.length + ended.length)
  await eventually('everything is delivered', async () => {
    const { rows } = await database.pool.query(
      `select count(*)::int as n from webhook_deliveries where status <> 'delivered' or attempt_count <> 1`,
    )
    return rows[0].n === 0
  })
  expect(receiver.posts.every(({ verified }) => verified)).toBe(true)
  expect(receiver.posts.map(({ webhookId }) => webhookId).toSorted()).toEqual(deliveries.map(({ id }) => id).toSorted())
  const { rows: attempts } = await database.pool.query(
    'select result, count(*)::int as n from webhook_attempts group by result',
  )
  expect(attempts).toEqual([{ result: 'ok', n: deliveries.length }])
  const errors = [...retired, ...fleet].flatMap(({ process }) => process.log.filter(({ level }) => Number(level) >= 50))
  expect(errors).toEqual([])
}, 240_000)
