import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'

/** Where the numbers are from. */
export function describeMachine(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    system: `${process.platform} ${release()}`,
    node: process.version,
    commit: git('rev-parse', '--short', 'HEAD'),
    changed: git('status', '--porcelain', '--', 'src', 'migrations') === '' ? 'nothing' : 'src or migrations',
  }
}

export const showMachine = (machine: Record<string, string | number>): string =>
  Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ')

function git(...words: string[]): string {
  try {
    return execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}
