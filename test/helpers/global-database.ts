import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startEmbeddedDatabase } from '../../src/database/embedded.ts'
import { migrate } from '../../src/database/migrate.ts'
import { defaultSchema } from '../../src/database/schema.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    serverUrl: string
    templateDatabase: string
  }
}

/**
 * One PostgreSQL for the whole run: `DATABASE_URL` if set, else the embedded one. Its migrated template is what each
 * test file copies (see `database.ts`).
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-test-'))
  const settings = ['max_connections=300', 'fsync=off']
  const given = process.env['DATABASE_URL']
  const embedded = given
    ? null
    : await startEmbeddedDatabase({ directory: join(directory, 'pg'), port: 0, password: 'test-password', settings })
  const serverUrl = given ?? embedded?.url ?? ''

  const templateDatabase = `callbox_template_${process.pid}`
  await onServer(serverUrl, `create database ${templateDatabase}`)
  const url = new URL(serverUrl)
  url.pathname = templateDatabase
  await migrate(url.href, defaultSchema)

  project.provide('serverUrl', serverUrl)
  project.provide('templateDatabase', templateDatabase)
  return async () => {
    await onServer(serverUrl, `drop database ${templateDatabase}`)
    await embedded?.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query(sql)
  await client.end()
}
