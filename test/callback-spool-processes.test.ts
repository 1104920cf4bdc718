import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../src/database/embedded.ts'
import { freePort } from '../src/database/free-port.ts'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { startCallbox, startSurroundings, temporaryHome, type WholeCallbox } from './helpers/whole-callbox.ts'

interface Server {
  url: string
  /** PostgreSQL's "immediate" shutdown. */
  crash(): Promise<void>
  startAgain(): Promise<void>
}

/** A PostgreSQL of the test's own, migrated. */
async function startServer(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-spool-pg-'))
  const options = { directory: join(directory, 'pg'), password: 'test-password', settings: ['fsync=off'] }
  let server: EmbeddedDatabase = await startEmbeddedDatabase({ ...options, port: 0 })
  onTestFinished(async () => {
    await server.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  await migrate(server.url, defaultSchema)
  return {
    url: server.url,
    async crash() {
      process.kill(server.postmasterPid, 'SIGQUIT')
      await server.ended
    },
    async startAgain() {
      server = await startEmbeddedDatabase({ ...options, port: server.port })
    },
  }
}

const entriesIn = (home: string): string[] =>
  readdirSync(join(home, 'spool')).filter((name) => name.endsWith('.callback'))

const get = async (callbox: WholeCallbox, path: string): Promise<{ status: number; text: string }> => {
  const answer = await fetch(`${callbox.apiUrl}${path}`)
  return { status: answer.status, text: await answer.text() }
}

test('kill -9 between the spool and the replay, and again at a start without a database: every call is delivered', async () => {
  const server = await startServer()
  const surroundings = await startSurroundings()
  const home = temporaryHome()
  const settings = { CALLBOX_HOME: home, PORT: String(await freePort()) }
  const roles = ['api', 'worker', 'dispatcher']
  const first = await startCallbox(surroundings, roles, server.url, settings)
  await first.process.ready()
  await first.putBusiness('10', '/ten')
  const before = surroundings.call()
  expect(await first.callback(before, 'call_status')).toBe(204)

  await server.crash()
  const calls = Array.from({ length: 5 }, () => surroundings.call())
  for (const call of calls.slice(0, 3)) {
    expect(await first.callback(call, 'call_status')).toBe(204)
    expect(await first.callback(call, 'recording_status')).toBe(204)
  }
  await expect.poll(async () => (await get(first, '/readyz')).status).toBe(503)
  const told = async () => JSON.parse((await get(first, '/readyz')).text)
  expect(await told()).toMatchObject({ status: 'not ready', callbacks: { taken: true, waiting: 6, damaged: 0 } })
  // In whole seconds: the first one has passed sooner or later.
  await expect.poll(async () => (await told()).callbacks.oldest_seconds).toBeGreaterThan(0)
  expect(await get(first, '/readyz/callbacks')).toMatchObject({ status: 200 })
  const { text } = await get(first, '/metrics')
  expect(text).toMatch(/^callbox_callback_spool_entries 6$/m)
  expect(text).toMatch(/^callbox_callback_spool_oldest_seconds [\d.]+$/m)
  expect(text).toMatch(/^callbox_callbacks_total\{kind="recording_status",result="spooled"\} 3$/m)

  first.process.signal('SIGKILL')
  await first.process.exited()
  expect(entriesIn(home)).toHaveLength(6)
  // It cannot become ready, but still accepts Twilio's callbacks.
  const second = await startCallbox(surroundings, roles, server.url, settings)
  for (const call of calls.slice(3)) {
    expect(await second.callback(call, 'call_status')).toBe(204)
    expect(await second.callback(call, 'recording_status')).toBe(204)
  }
  expect(await get(second, '/readyz')).toMatchObject({ status: 503 })
  expect(await get(second, '/readyz/callbacks')).toMatchObject({ status: 200 })
  second.process.signal('SIGKILL')
  await second.process.exited()
  expect(entriesIn(home)).toHaveLength(10)

  await server.startAgain()
  const third = await startCallbox(surroundings, roles, server.url, settings)
  await third.process.ready()
  await expect.poll(() => entriesIn(home), { timeout: 30_000 }).toEqual([])
  for (const { callSid } of calls) expect(await third.posted('/ten', callSid)).toHaveLength(1)
  const pool = new pg.Pool({ connectionString: server.url, max: 1 })
  onTestFinished(() => pool.end())
  const { rows } = await pool.query<{ call_sid: string; kind: string }>(
    'select call_sid, kind from callbox.twilio_callbacks order by id',
  )
  expect(rows.map(({ call_sid, kind }) => `${call_sid} ${kind}`)).toEqual([
    `${before.callSid} call_status`,
    ...calls.flatMap(({ callSid }) => [`${callSid} call_status`, `${callSid} recording_status`]),
  ])
  await expect.poll(async () => (await get(third, '/readyz')).text).toBe('{"status":"ready"}')
})

test('the same process continues when the database is back, and refuses forged callbacks throughout', async () => {
  const server = await startServer()
  const surroundings = await startSurroundings()
  const home = temporaryHome()
  const callbox = await startCallbox(surroundings, ['api'], server.url, { CALLBOX_HOME: home })
  await callbox.process.ready()
  await server.crash()
  const call = surroundings.call()
  expect(await callbox.callback(call, 'call_status')).toBe(204)
  const forged = await fetch(`${callbox.apiUrl}/webhook/call_status`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-twilio-signature': 'bm8=' },
    body: `CallSid=${call.callSid}`,
  })
  expect(forged.status).toBe(403)
  expect(entriesIn(home)).toHaveLength(1)
  await server.startAgain()
  await expect.poll(() => entriesIn(home), { timeout: 30_000 }).toEqual([])
  await expect.poll(async () => (await get(callbox, '/readyz')).status, { timeout: 30_000 }).toBe(200)
  expect(await callbox.callback(surroundings.call(), 'call_status')).toBe(204)
  expect(entriesIn(home)).toEqual([])
  callbox.process.signal('SIGTERM')
  expect(await callbox.process.exited()).toBe(0)
})

test('SIGTERM while the database is away: entries stay on disk, and load balancers are notified in time', async () => {
  const server = await startServer()
  const surroundings = await startSurroundings()
  const home = temporaryHome()
  const callbox = await startCallbox(surroundings, ['api'], server.url, { CALLBOX_HOME: home })
  await callbox.process.ready()
  await server.crash()
  expect(await callbox.callback(surroundings.call(), 'call_status')).toBe(204)
  expect(await get(callbox, '/readyz/callbacks')).toMatchObject({ status: 200 })
  callbox.process.signal('SIGTERM')
  await expect.poll(async () => (await get(callbox, '/readyz/callbacks')).status).toBe(503)
  // No load balancer has polled it yet.
  expect(await callbox.callback(surroundings.call(), 'call_status')).toBe(204)
  expect(await callbox.process.exited()).toBe(0)
  expect(entriesIn(home)).toHaveLength(2)
  expect(callbox.process.log.find(({ event }) => event === 'spool.kept')).toMatchObject({ waiting: 2 })
})
