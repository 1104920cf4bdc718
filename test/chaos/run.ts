import { join } from 'node:path'
import pg from 'pg'
import { putBusiness } from '../helpers/businesses.ts'
import { eventually } from '../helpers/eventually.ts'
import { startTcpProxy } from '../helpers/tcp-proxy.ts'
import { businesses } from './businesses.ts'
import { FakeClock } from './clock.ts'
import { ChaosDatabase } from './database.ts'
import { carryOut, type HappenedFault, type Stage } from './faults.ts'
import { FleetMember } from './fleet.ts'
import type { AttemptRow, DeliveryRow, Evidence } from './judge.ts'
import { describeFault, type Plan } from './plan.ts'
import { Producers } from './producers.ts'
import { Receivers } from './receiver.ts'
import { type Handover, SlotWatch } from './slot-watch.ts'

export interface RunOptions {
  plan: Plan
  seed: number
  dispatchers: number
  window: number
  /** Events begun each second. */
  rate: number
  /** One line of what goes on. */
  say: (line: string) => void
}

export interface RunResult {
  evidence: Evidence
  /** What the dispatchers logged as an error, and how those ended that did not end cleanly. */
  complaints: string[]
  clockSkipped: boolean
}

/** Many short steps: receivers that come to their senses get everything. */
const schedule = ['200ms', '300ms', '500ms', ...Array<string>(40).fill('1s')].join(',')
const calmMs = 2_500
const drainWithinMs = 90_000

const settings = (window: number): Record<string, string> => ({
  DISPATCHER_CONCURRENCY: String(window),
  WEBHOOK_TIMEOUT: '2s',
  WEBHOOK_RETRY_SCHEDULE: schedule,
})

/** The whole run: everything started, the plan carried out, everything drained and stopped, the records collected. */
export async function run(options: RunOptions): Promise<RunResult> {
  const { plan, seed, dispatchers, window, rate, say } = options
  await using stack = new AsyncDisposableStack()
  const database = await ChaosDatabase.start()
  stack.defer(() => database.remove())
  const pool = new pg.Pool({
    connectionString: database.url,
    max: 3,
    query_timeout: 30_000,
    options: '-c search_path=callbox',
  })
  pool.on('error', () => undefined)
  stack.defer(() => pool.end())
  await watchOverwrites(pool)

  const receivers = await Receivers.start(seed)
  stack.defer(() => receivers.stop())
  const receiverProxy = await startTcpProxy(`http://127.0.0.1:${receivers.port}`)
  stack.defer(() => receiverProxy.close())
  await putBusinesses(pool, receivers, new URL(receiverProxy.databaseUrl).origin)

  const clock = FakeClock.find(join(database.directory, 'faketime'))
  const fleet: FleetMember[] = []
  for (let index = 0; index < dispatchers; index += 1) {
    const environment = clock && index === dispatchers - 1 ? clock.environment : {}
    const member = await FleetMember.start(database.url, { ...settings(window), ...environment })
    stack.defer(async () => void (await member.stop()))
    fleet.push(member)
  }
  await Promise.all(fleet.map((member) => member.ready()))
  const producers = new Producers(database.url, seed)

  const handovers: Handover[] = []
  const stage: Stage = { database, pool, fleet, receiverProxy, watch: new SlotWatch(database.url), handovers }
  const begunMs = performance.now()
  const at = async (atMs: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, begunMs + atMs - performance.now())))
  }
  const progress = setInterval(() => void tell(), 1_000)
  stack.defer(() => clearInterval(progress))
  let doing = ''
  const tell = async (): Promise<void> => {
    const [posts, pending] = await Promise.all([receivers.count(), countPending(pool).catch(() => null)])
    const seconds = Math.round((performance.now() - begunMs) / 1000)
    const { committed, rolledBack } = producers.ledger
    const counts = `committed ${committed.size}, rolled back ${rolledBack.size}, POSTs ${posts}`
    say(`${seconds} s  ${counts}, pending ${pending ?? '?'}  ${doing}`)
  }

  producers.start(rate)
  const faults: HappenedFault[] = []
  const mainTrack = async (): Promise<void> => {
    for (const { atMs, fault } of plan.faults) {
      await Promise.all([at(atMs), calmBetween(faults.at(-1))])
      doing = describeFault(fault)
      faults.push(await carryOut(fault, stage))
      doing = ''
    }
  }
  const spells = plan.spells.map(async ({ atMs, forMs, misbehaviour, businesses: chosen }) => {
    await at(atMs)
    receivers.tell({ order: 'misbehave', businesses: chosen, misbehaviour })
    await at(atMs + forMs)
    receivers.tell({ order: 'behave', businesses: chosen })
  })
  const clockChanges = plan.clockChanges.map(async (change) => {
    await at(change.atMs)
    clock?.set(change.clock)
  })
  await Promise.all([mainTrack(), ...spells, ...clockChanges, at(plan.endMs)])

  doing = 'draining'
  receivers.tell({ order: 'calm' })
  await producers.stop()
  const complaints: string[] = []
  await eventually('everything has been delivered', async () => (await countPending(pool)) === 0, drainWithinMs).catch(
    (error: unknown) => complaints.push(String(error)),
  )
  for (const [index, member] of fleet.entries()) {
    const code = await member.stop()
    if (code !== 0) complaints.push(`dispatcher ${index + 1} ended with ${code}`)
    complaints.push(...member.errors().map((line) => `dispatcher ${index + 1}: ${line}`))
  }
  clearInterval(progress)
  const records = await readRecords(pool)
  const posts = await receivers.posts()
  const evidence = { produced: producers.ledger, posts, ...records, faults, handovers, window }
  return { evidence, complaints, clockSkipped: clock === null }
}

/** One fault that took long must not run into the next: what each did could not be told apart. */
async function calmBetween(last: HappenedFault | undefined): Promise<void> {
  const sinceMs = Date.now() - (last?.endedMs ?? 0)
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, calmMs - sinceMs)))
}

async function putBusinesses(pool: pg.Pool, receivers: Receivers, proxiedOrigin: string): Promise<void> {
  const known = []
  for (const { businessId, manner, busy, proxied } of businesses) {
    const url = `${proxied ? proxiedOrigin : `http://127.0.0.1:${receivers.port}`}/${businessId}`
    const settings = { inbound: url, outbound: url, ...(busy ? { maxConcurrency: 1 } : {}) }
    known.push({ businessId, manner, secret: await putBusiness({ pool }, businessId, settings) })
  }
  receivers.tell({ order: 'businesses', businesses: known })
}

/** Triggers record what must never happen: a changed event or dead letter, a delivery that ends twice. */
async function watchOverwrites(pool: pg.Pool): Promise<void> {
  await pool.query(`
    create table chaos_overwritten (id uuid not null);
    create table chaos_ended (id uuid primary key);
    create function chaos_note_overwritten() returns trigger language plpgsql as
      $$ begin insert into chaos_overwritten values (old.id); return null; end $$;
    create function chaos_note_second_end() returns trigger language plpgsql as
      $$ begin
        insert into chaos_ended values (old.id) on conflict do nothing;
        if not found then insert into chaos_overwritten values (old.id); end if;
        return null;
      end $$;
    create trigger chaos_overwritten after update on callbox.webhook_outbox
      for each row execute function chaos_note_overwritten();
    create trigger chaos_overwritten after update on callbox.webhook_dead_letters
      for each row execute function chaos_note_overwritten();
    create trigger chaos_ended after delete on callbox.webhook_due
      for each row execute function chaos_note_second_end()`)
}

async function countPending(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(`select count(*)::int as n from callbox.webhook_due`)
  return rows[0]?.n ?? 0
}

async function readRecords(
  pool: pg.Pool,
): Promise<{ deliveries: DeliveryRow[]; attempts: AttemptRow[]; overwritten: string[] }> {
  const deliveries = await pool.query<DeliveryRow>('select id, status, attempt_count from callbox.webhook_deliveries')
  const attempts = await pool.query<AttemptRow>(
    `select delivery_id, number, result, (extract(epoch from started_at) * 1000)::float8 as started_ms
     from callbox.webhook_attempts`,
  )
  const overwritten = await pool.query<{ id: string }>('select distinct id from chaos_overwritten')
  return { deliveries: deliveries.rows, attempts: attempts.rows, overwritten: overwritten.rows.map(({ id }) => id) }
}
