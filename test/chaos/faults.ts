import type pg from 'pg'
import type { TcpProxy } from '../helpers/tcp-proxy.ts'
import type { ChaosDatabase } from './database.ts'
import type { FleetMember } from './fleet.ts'
import type { Fault } from './plan.ts'
import type { Handover, SlotWatch } from './slot-watch.ts'

/** What the faults are done to. */
export interface Stage {
  database: ChaosDatabase
  /** For the runner's own questions. */
  pool: pg.Pool
  fleet: readonly FleetMember[]
  receiverProxy: TcpProxy
  watch: SlotWatch
  handovers: Handover[]
}

/** A fault as it happened; times are milliseconds since the epoch. */
export interface HappenedFault {
  fault: Fault
  beganMs: number
  /** When everything was put right again. */
  endedMs: number
}

/** A dispatcher that went is started again so long after. */
const startAgainMs = 5_000
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Does it, and puts it right again. */
export async function carryOut(fault: Fault, stage: Stage): Promise<HappenedFault> {
  const beganMs = Date.now()
  await doIt(fault, stage)
  return { fault, beganMs, endedMs: Date.now() }
}

async function doIt(fault: Fault, stage: Stage): Promise<void> {
  const { database, pool, fleet, receiverProxy } = stage
  switch (fault.kind) {
    case 'kill':
    case 'term':
      return leave(fault.kind, fault.dispatcher, stage)
    case 'stop': {
      const member = memberOf(fleet, fault.dispatcher)
      member.signal('SIGSTOP')
      await pause(fault.forMs)
      return member.signal('SIGCONT')
    }
    case 'database-half-open': {
      const { proxy } = memberOf(fleet, fault.dispatcher)
      proxy.freeze()
      await pause(fault.forMs)
      return proxy.restore()
    }
    case 'database-crash':
      await database.crash()
      await pause(fault.forMs)
      return database.startAgain()
    case 'connections-cut': {
      await pool
        .query('select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()')
        .catch(() => undefined)
      for (const { proxy } of fleet) proxy.cut()
      await pause(fault.forMs)
      for (const { proxy } of fleet) proxy.restore()
      return
    }
    case 'receivers-half-open':
      receiverProxy.freeze()
      await pause(fault.forMs)
      return receiverProxy.restore()
  }
}

async function leave(how: 'kill' | 'term', dispatcher: number, { fleet, watch, handovers }: Stage): Promise<void> {
  const member = memberOf(fleet, dispatcher)
  const signal = how === 'kill' ? 'SIGKILL' : 'SIGTERM'
  const followed = watch.follow(how, dispatcher, member.id, () => member.signal(signal))
  await pause(startAgainMs)
  await member.exited()
  member.startAgain()
  handovers.push(await followed)
}

function memberOf(fleet: readonly FleetMember[], index: number): FleetMember {
  const member = fleet[index]
  if (member === undefined) throw new Error(`no dispatcher ${index}`)
  return member
}
