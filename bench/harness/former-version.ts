import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Version } from './version.ts'

/** The last commit with one wide `webhook_outbox` row for each delivery. */
export const formerCommit = '138c1f9'

const repository = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Checks the former version out below `.callbox/`, where it finds this version's `node_modules`, and removes it after use.
 *
 * @returns `null` when the history does not have the commit, as in a shallow clone.
 */
export async function withFormerVersion<T>(use: (version: Version) => Promise<T>): Promise<T | null> {
  const directory = `${repository}.callbox/bench-former-${process.pid}`
  try {
    git('cat-file', '-e', `${formerCommit}^{commit}`)
  } catch {
    return null
  }
  const remove = (): void => {
    rmSync(directory, { recursive: true, force: true })
    git('worktree', 'prune')
  }
  git('worktree', 'add', '--detach', directory, formerCommit)
  process.once('exit', remove)
  try {
    return await use({
      name: 'former',
      cli: `${directory}/src/cli.ts`,
      schema: 'public',
      countPending: `
        select count(*)::integer as n from webhook_outbox
        where status = 'pending' and business_id = any($1::bigint[])`,
    })
  } finally {
    process.off('exit', remove)
    remove()
  }
}

function git(...words: string[]): void {
  execFileSync('git', words, { cwd: repository, stdio: 'ignore' })
}
