import { readFileSync } from 'node:fs'

/** Of /proc's clocks on every Linux that Node runs on (`sysconf(_SC_CLK_TCK)`). */
const ticksPerSecond = 100

/**
 * CPU time of all processes of a PostgreSQL server so far, ended ones included.
 *
 * @returns milliseconds; `null` where there is no /proc.
 */
export function postgresCpuMs(postmasterPid: number): number | null {
  try {
    const children = readFileSync(`/proc/${postmasterPid}/task/${postmasterPid}/children`, 'utf8').trim().split(' ')
    const ofChildren = children.map((pid) => ticks(pid, 13, 15))
    // Fields 14 and 15 are its own, 16 and 17 those of children that have ended (proc_pid_stat(5)).
    const total = ofChildren.reduce((sum, own) => sum + own, ticks(String(postmasterPid), 13, 17))
    return (total * 1000) / ticksPerSecond
  } catch {
    return null
  }
}

/** A process that has just ended counts among its parent's. */
function ticks(pid: string, from: number, to: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is a name in brackets and may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(from - 2, to - 2).reduce((sum, field) => sum + Number(field), 0)
  } catch {
    return 0
  }
}
