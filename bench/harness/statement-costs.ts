import { mkdirSync, writeFileSync } from 'node:fs'
import type pg from 'pg'

/** The server setting that {@link writeStatementCosts} needs. */
export const statementCostSettings = ['shared_preload_libraries=pg_stat_statements']

interface StatementCost {
  ms: number
  calls: number
  rows: number
  us_per_row: number
  buffers_per_row: number
  wal_bytes_per_row: number
  query: string
}

/** Writes what the database's ten dearest statements have cost so far. */
export async function writeStatementCosts(pool: pg.Pool, directory: string, name: string): Promise<void> {
  const { rows } = await pool.query<StatementCost>(
    `select round(total_exec_time)::integer as ms, calls::integer, rows::integer,
            round((total_exec_time * 1000 / greatest(rows, 1))::numeric, 1)::float8 as us_per_row,
            round((shared_blks_hit + shared_blks_read)::numeric / greatest(rows, 1), 1)::float8 as buffers_per_row,
            round(wal_bytes / greatest(rows, 1))::float8 as wal_bytes_per_row,
            left(regexp_replace(query, '\\s+', ' ', 'g'), 160) as query
     from pg_stat_statements
     where dbid = (select oid from pg_database where datname = current_database())
     order by total_exec_time desc
     limit 10`,
  )
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/statements-${name}.json`, `${JSON.stringify(rows, null, 2)}\n`)
}
