import { randomBytes } from 'node:crypto'
import type { Knex } from 'knex'
import pg from 'pg'
import { inject } from 'vitest'
import { createKnex } from '../../src/database/knex.ts'
import { atEnd } from './at-end.ts'

export interface TestDatabase {
  url: string
  pool: pg.Pool
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
  const pool = new pg.Pool({ connectionString: url.href, max: 10 })
  pool.on('error', () => undefined)
  const knex = createKnex(url.href, 'callbox test', 10)
  atEnd(async () => {
    await pool.end()
    await knex.destroy()
    await server.query(`drop database ${name} with (force)`)
    await server.end()
  })
  return { url: url.href, pool, knex }
}
