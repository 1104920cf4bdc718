import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import pg from 'pg'
import { inject } from 'vitest'
import { createKnex } from '../../src/database/knex.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { atEnd } from './at-end.ts'

export interface TestDatabase {
  url: string
  /** The test's own: its search_path lets tests leave out `callbox.`. */
  pool: pg.Pool
  /** As the product has it, without a search_path. */
  knex: Knex
}

/** A migrated database of the calling test file's own, dropped when the file is done. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = inject('serverUrl')
  const name = `callbox_${randomBytes(6).toString('hex')}`
  const server = new pg.Client(serverUrl)
  await server.connect()
  await server.query(`create database ${name} template ${inject('templateDatabase')}`)
  const url = new URL(serverUrl)
  url.pathname = name
  const pool = new pg.Pool({ connectionString: url.href, max: 10, options: `-c search_path=${defaultSchema}` })
  pool.on('error', () => undefined)
  const knex = createKnex(url.href, defaultSchema, 'callbox test', 10)
  atEnd(async () => {
    await pool.end()
    await knex.destroy()
    await server.query(`drop database ${name} with (force)`)
    await server.end()
  })
  return { url: url.href, pool, knex }
}
