import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createKnex } from '../src/database/knex.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { CallbackSpool, type SpooledCallback } from '../src/ingress/callback-spool.ts'
import { SpoolReplay } from '../src/ingress/spool-replay.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase } from './helpers/database.ts'
import { startTcpProxy, type TcpProxy } from './helpers/tcp-proxy.ts'
import { type IngressStage, newCall, openIngress, statusCallback } from './helpers/twilio.ts'

const database = await createTestDatabase()

interface Stage extends IngressStage {
  proxy: TcpProxy
  spool: string
  /** Files that wait, by their name. */
  waiting(): string[]
  loggedAs(event: string): Record<string, unknown>[]
}

/** The ingress with a proxy before its database. */
async function openStage(home = mkdtempSync(join(tmpdir(), 'callbox-spool-'))): Promise<Stage> {
  const proxy = await startTcpProxy(database.url)
  const knex = createKnex(proxy.databaseUrl, defaultSchema, 'callbox test', 8)
  const stage = await openIngress({ url: database.url, knex }, { CALLBOX_HOME: home })
  onTestFinished(async () => {
    proxy.restore()
    await stage.close()
    await knex.destroy()
    await proxy.close()
    rmSync(home, { recursive: true, force: true })
  })
  const spool = join(home, 'spool')
  return {
    ...stage,
    ...{ proxy, spool },
    waiting: () => readdirSync(spool).filter((name) => name.endsWith('.callback')),
    loggedAs: (event) => stage.logged.map((line) => JSON.parse(line)).filter((line) => line.event === event),
  }
}

const stored = async (): Promise<{ call_sid: string; body: string; received_at: Date }[]> =>
  (await database.pool.query('select call_sid, body, received_at from twilio_callbacks order by id')).rows
const storedSids = async (): Promise<string[]> => (await stored()).map((row) => row.call_sid)
const resultsOf = async (stage: Stage) =>
  Object.fromEntries(
    (await stage.metrics.callbacks.get()).values
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => [labels.result, value]),
  )

test('callbacks during an outage go to disk, are answered 204, and are stored in order afterwards', async () => {
  const stage = await openStage()
  stage.proxy.cut()
  const calls = Array.from({ length: 30 }, () => newCall())
  const begun = Date.now()
  for (const call of calls)
    expect(await stage.post(statusCallback(call))).toEqual({ status: 204, type: null, body: '' })
  const ended = Date.now()
  expect(stage.waiting()).toHaveLength(30)
  expect(stage.intake.state).toMatchObject({ waiting: 30, damaged: 0, unusable: null })
  for (const name of stage.waiting()) expect(statSync(join(stage.spool, name)).mode & 0o777).toBe(0o600)
  expect(statSync(stage.spool).mode & 0o777).toBe(0o700)
  expect(await storedSids()).not.toContain(calls[0]?.callSid)

  stage.proxy.restore()
  await expect.poll(() => stage.waiting(), { timeout: 20_000 }).toEqual([])
  const rows = (await stored()).slice(-30)
  expect(rows.map((row) => row.call_sid)).toEqual(calls.map(({ callSid }) => callSid))
  for (const { received_at } of rows) {
    expect(received_at.getTime()).toBeGreaterThanOrEqual(begun)
    expect(received_at.getTime()).toBeLessThanOrEqual(ended)
  }
  expect(await resultsOf(stage)).toEqual({ spooled: 30 })
  expect(stage.loggedAs('spool.started')).toHaveLength(1)
  // And then directly again.
  await stage.post(statusCallback(newCall()))
  expect(await resultsOf(stage)).toEqual({ spooled: 30, stored: 1 })
})

test('a silent database is waited for once, for 5 s; a write that it committed anyway is stored once', async () => {
  const stage = await openStage()
  const warm = newCall()
  expect((await stage.post(statusCallback(warm))).status).toBe(204)
  const call = newCall()
  const held = stage.proxy.holdAnswer('twilio_callbacks', call.callSid)
  const begun = performance.now()
  const answer = stage.post(statusCallback(call))
  await held
  stage.proxy.freeze()
  expect((await answer).status).toBe(204)
  const firstMs = performance.now() - begun
  expect(firstMs).toBeGreaterThan(4_500)
  expect(firstMs).toBeLessThan(10_000)
  expect(await storedSids()).toContain(call.callSid)

  const next = newCall()
  const again = performance.now()
  expect((await stage.post(statusCallback(next))).status).toBe(204)
  expect(performance.now() - again).toBeLessThan(1_500)
  expect(stage.waiting()).toHaveLength(2)
  stage.proxy.restore()
  await expect.poll(() => stage.waiting(), { timeout: 30_000 }).toEqual([])
  const sids = await storedSids()
  expect(sids.slice(-2)).toEqual([call.callSid, next.callSid])
  expect(sids.filter((sid) => sid === call.callSid)).toHaveLength(1)
})

test('new callbacks queue behind older ones that are being replayed', async () => {
  const stage = await openStage()
  stage.proxy.cut()
  const calls = Array.from({ length: 300 }, () => newCall())
  for (const call of calls.slice(0, 200)) await stage.post(statusCallback(call))
  stage.proxy.restore()
  for (const call of calls.slice(200)) expect((await stage.post(statusCallback(call))).status).toBe(204)
  await expect.poll(() => stage.waiting(), { timeout: 30_000 }).toEqual([])
  expect((await storedSids()).slice(-300)).toEqual(calls.map(({ callSid }) => callSid))
})

test('an entry damaged by a crash or the disk is set aside, logged and counted, and does not hold up others', async () => {
  const stage = await openStage()
  stage.proxy.cut()
  const calls = Array.from({ length: 6 }, () => newCall({ from: '+972509999999' }))
  for (const call of calls) await stage.post(statusCallback(call))
  const [torn = '', empty = '', altered = ''] = stage.waiting()
  truncateSync(join(stage.spool, torn), 100)
  truncateSync(join(stage.spool, empty), 0)
  const text = readFileSync(join(stage.spool, altered), 'utf8')
  writeFileSync(join(stage.spool, altered), text.replace('CallStatus', 'CallStatuS'))
  // A file left unfinished by a process that died, and a file that is not an entry.
  writeFileSync(join(stage.spool, `${torn}.tmp`), 'half')
  writeFileSync(join(stage.spool, 'note.txt'), 'what an operator left')
  mkdirSync(join(stage.spool, '0000000000000001-aaaaaaaa.callback'))

  stage.proxy.restore()
  await expect.poll(() => stage.waiting(), { timeout: 20_000 }).toEqual([])
  expect((await storedSids()).slice(-3)).toEqual(calls.slice(3).map(({ callSid }) => callSid))
  expect(readdirSync(join(stage.spool, 'damaged')).sort()).toEqual(
    ['0000000000000001-aaaaaaaa.callback', torn, empty, altered].sort(),
  )
  expect(stage.intake.state).toMatchObject({ waiting: 0, damaged: 4 })
  expect(stage.loggedAs('spool.set_aside')).toHaveLength(4)
  expect(stage.logged.join('')).not.toContain('9999999')
})

test('a process without free file descriptors keeps its entries, and stores them once it has some', async () => {
  class CrowdedSpool extends CallbackSpool {
    refusals = 12
    override async read(name: string): Promise<SpooledCallback | null> {
      if (this.refusals-- > 0) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
      return super.read(name)
    }
  }
  const home = mkdtempSync(join(tmpdir(), 'callbox-crowded-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  const spool = new CrowdedSpool(home)
  await spool.prepare()
  const calls = [newCall(), newCall()]
  for (const { callSid } of calls) {
    const callback = { kind: 'call_status' as const, query: '', body: `CallSid=${callSid}`, receivedAt: new Date() }
    await spool.append(spool.newName(), callback)
  }
  const events = { stored: () => undefined, away: (error: unknown) => expect.unreachable(String(error)) }
  const replay = new SpoolReplay(spool, database.knex, createLogger('silent', 'test'), events)
  const refresh = () => spool.refresh()
  // More often than an entry may fail.
  for (let round = 0; round < 6; round++) expect(await replay.run(refresh, () => false)).toBe(0)
  expect(spool).toMatchObject({ waiting: 2, damaged: 0 })
  expect(await replay.run(refresh, () => false)).toBe(2)
  expect((await storedSids()).slice(-2)).toEqual(calls.map(({ callSid }) => callSid))
})

test('an entry that the database rejects while it accepts others is set aside', async () => {
  const stage = await openStage()
  const cursed = newCall()
  await database.pool.query(`
    create function callbox.refuse_cursed() returns trigger language plpgsql as
      $$ begin if new.call_sid = '${cursed.callSid}' then raise 'no luck'; end if; return new; end $$;
    create trigger refuse_cursed before insert on callbox.twilio_callbacks
      for each row execute function callbox.refuse_cursed()`)
  onTestFinished(async () => {
    await database.pool.query('drop function callbox.refuse_cursed() cascade')
  })
  stage.proxy.cut()
  const others = [newCall(), newCall()]
  for (const call of [cursed, ...others]) expect((await stage.post(statusCallback(call))).status).toBe(204)
  stage.proxy.restore()
  await expect.poll(() => stage.waiting(), { timeout: 20_000 }).toEqual([])
  expect((await storedSids()).slice(-2)).toEqual(others.map(({ callSid }) => callSid))
  expect(stage.intake.state.damaged).toBe(1)
})

test('a missing table keeps all entries on disk, and sets none aside', async () => {
  const stage = await openStage()
  await database.pool.query('alter table callbox.twilio_callbacks rename to away_callbacks')
  const calls = [newCall(), newCall(), newCall()]
  for (const call of calls) expect((await stage.post(statusCallback(call))).status).toBe(204)
  // More often than one entry may fail.
  await expect.poll(() => stage.loggedAs('spool.waiting').length, { timeout: 20_000 }).toBeGreaterThan(5)
  expect(stage.intake.state).toMatchObject({ waiting: 3, damaged: 0 })
  await database.pool.query('alter table callbox.away_callbacks rename to twilio_callbacks')
  await expect.poll(() => stage.waiting(), { timeout: 20_000 }).toEqual([])
  expect((await storedSids()).slice(-3)).toEqual(calls.map(({ callSid }) => callSid))
})

test('two processes that share CALLBOX_HOME replay what each other left, once', async () => {
  const first = await openStage()
  const second = await openStage(first.home)
  first.proxy.cut()
  second.proxy.cut()
  const calls = Array.from({ length: 40 }, () => newCall())
  for (const [index, call] of calls.entries()) {
    expect((await [first, second][index % 2]?.post(statusCallback(call)))?.status).toBe(204)
  }
  // Only the second reaches the database again.
  second.proxy.restore()
  await expect.poll(() => first.waiting(), { timeout: 30_000 }).toEqual([])
  expect((await storedSids()).slice(-40).sort()).toEqual(calls.map(({ callSid }) => callSid).sort())
  first.proxy.restore()
  await expect.poll(() => first.intake.state.waiting, { timeout: 20_000 }).toBe(0)
  expect(await first.post(statusCallback(newCall()))).toMatchObject({ status: 204 })
  expect(first.loggedAs('spool.set_aside')).toEqual([])
})

const canMount = process.getuid?.() === 0 && process.platform === 'linux'
if (!canMount) process.stderr.write('skipped: a full disk takes root, to mount a small one\n')

test.skipIf(!canMount)(
  'a full disk means 503 while the database is away, and all callbacks are accepted once it is back',
  async () => {
    const disk = mkdtempSync(join(tmpdir(), 'callbox-full-'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
    onTestFinished(() => {
      execFileSync('umount', [disk])
      rmSync(disk, { recursive: true })
    })
    const stage = await openStage(join(disk, 'home'))
    stage.proxy.cut()
    const accepted: string[] = []
    const statuses: number[] = []
    for (let n = 0; n < 40; n += 1) {
      const call = newCall()
      const { status, body } = await stage.post(statusCallback(call))
      statuses.push(status)
      if (status === 204) accepted.push(call.callSid)
      else expect(JSON.parse(body)).toMatchObject({ status: 503, detail: expect.stringContaining('send it again') })
    }
    expect(accepted.length).toBeGreaterThan(5)
    expect(statuses.at(-1)).toBe(503)
    expect(stage.intake.state.unusable).toBe('ENOSPC')
    expect(readdirSync(stage.spool).filter((name) => name.endsWith('.tmp'))).toEqual([])
    expect(stage.loggedAs('spool.unusable')).toHaveLength(1)

    stage.proxy.restore()
    await expect.poll(() => stage.waiting(), { timeout: 20_000 }).toEqual([])
    expect((await storedSids()).slice(-accepted.length)).toEqual(accepted)
    expect((await stage.post(statusCallback(newCall()))).status).toBe(204)
  },
)

test('an unwritable CALLBOX_HOME is logged, and the database is still used', async () => {
  const home = join(mkdtempSync(join(tmpdir(), 'callbox-no-home-')), 'file')
  writeFileSync(home, 'not a directory')
  const proxy = await startTcpProxy(database.url)
  const knex = createKnex(proxy.databaseUrl, defaultSchema, 'callbox test', 8)
  const stage = await openIngress({ url: database.url, knex }, { CALLBOX_HOME: home })
  onTestFinished(async () => {
    await stage.close()
    await knex.destroy()
    await proxy.close()
  })
  expect((await stage.post(statusCallback(newCall()))).status).toBe(204)
  expect(stage.intake.state.unusable).toBe('ENOTDIR')
  proxy.cut()
  expect((await stage.post(statusCallback(newCall()))).status).toBe(503)
  // The disk gets free space again.
  rmSync(home)
  proxy.restore()
  expect((await stage.post(statusCallback(newCall()))).status).toBe(204)
})
