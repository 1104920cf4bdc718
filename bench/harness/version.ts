import { fileURLToPath } from 'node:url'

/** A version of Callbox: what the harness must know to run it. */
export interface Version {
  /** Part of the names of its databases. */
  name: string
  cli: string
  /** Where its tables are. */
  schema: 'callbox' | 'public'
  /** A query with one row and its column `n`: how many deliveries of the businesses in `$1` are pending. */
  countPending: string
}

export const thisVersion: Version = {
  name: 'bench',
  cli: fileURLToPath(new URL('../../src/cli.ts', import.meta.url)),
  schema: 'callbox',
  countPending: 'select count(*)::integer as n from callbox.webhook_due where business_id = any($1::bigint[])',
}
