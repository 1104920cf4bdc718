import type { Check, Evidence, Verdict } from './judge.ts'
import { describeFault, type Plan } from './plan.ts'

export function planLines(plan: Plan): string[] {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(6)} s`
  const lines = [
    ...plan.faults.map(({ atMs, fault }) => ({ atMs, text: describeFault(fault) })),
    ...plan.spells.map(({ atMs, forMs, misbehaviour, businesses }) => ({
      atMs,
      text: `  receivers ${businesses.join(', ')}: ${misbehaviour} for ${(forMs / 1000).toFixed(1)} s`,
    })),
    ...plan.clockChanges.map(({ atMs, clock }) => ({ atMs, text: `  the last dispatcher's wall clock: ${clock}` })),
  ]
  return lines.sort((a, b) => a.atMs - b.atMs).map(({ atMs, text }) => `${seconds(atMs)}  ${text}`)
}

export function tables(evidence: Evidence, verdict: Verdict, judged: (check: Check) => boolean): string[] {
  const { produced, posts, attempts } = evidence
  const accepted = posts.filter(({ answer }) => answer === 200).length
  return [
    '',
    `committed ${produced.committed.size} (enqueued twice ${produced.repeated}, ` +
      `commits whose answer was not heard ${produced.unheardCommits}), rolled back ${produced.rolledBack.size}`,
    `POSTs ${posts.length}, answered 2xx ${accepted}; attempts on record ${attempts.length}`,
    '',
    ...grid(
      ['fault', 'unrecorded', 'repeated', 'deliveries'],
      verdict.byFault.map(({ what, unrecorded, repeated, deliveries }) => [
        what,
        String(unrecorded),
        String(repeated),
        String(deliveries),
      ]),
    ),
    '',
    ...grid(
      ['', 'found', 'allowed', ''],
      verdict.checks.map((check) => [
        check.what,
        check.found,
        check.allowed,
        check.passed ? 'ok' : judged(check) ? 'FAILED' : 'failed, not judged',
      ]),
    ),
    ...verdict.examples.map((example) => `  ${example}`),
  ]
}

function grid(heads: readonly string[], rows: readonly string[][]): string[] {
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)]
}
