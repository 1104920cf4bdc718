import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../../src/database/embedded.ts'
import { embeddedSettings } from '../../src/database/embedded-settings.ts'
import { migrate } from '../../src/database/migrate.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { BenchDatabase } from './database.ts'
import { postgresCpuMs } from './postgres-cpu.ts'
import { statementCostSettings, writeStatementCosts } from './statement-costs.ts'
import { thisVersion, type Version } from './version.ts'

const templateOf = ({ name }: Version): string => `${name}_template`

/**
 * The one PostgreSQL of a run: the embedded one with the settings that its users get, fully durable, its data on the
 * disk where theirs would be. Each measurement has a database of its own, copied from a migrated template.
 */
export class BenchServer {
  readonly #directory: string
  readonly #server: EmbeddedDatabase
  readonly #admin: pg.Client
  readonly #profileInto: string | null
  #made = 0
  readonly #templates = new Set([templateOf(thisVersion)])

  private constructor(directory: string, server: EmbeddedDatabase, admin: pg.Client, profileInto: string | null) {
    this.#directory = directory
    this.#server = server
    this.#admin = admin
    this.#profileInto = profileInto
  }

  /** @param profileInto a directory for what each database's statements have cost; `null`: nobody asks. */
  static async start(profileInto: string | null): Promise<BenchServer> {
    const home = fileURLToPath(new URL(`../../.callbox/bench-${process.pid}/`, import.meta.url))
    mkdirSync(home, { recursive: true })
    const settings = [...embeddedSettings(), ...(profileInto === null ? [] : statementCostSettings)]
    const server = await startEmbeddedDatabase({ directory: `${home}postgres`, port: 0, password: 'bench', settings })
    const admin = new pg.Client(server.url)
    await admin.connect()
    const template = templateOf(thisVersion)
    await admin.query(`create database ${template}`)
    await migrate(urlOf(server, template), defaultSchema)
    if (profileInto !== null) await onDatabase(urlOf(server, template), 'create extension pg_stat_statements')
    return new BenchServer(home, server, admin, profileInto)
  }

  async version(): Promise<string> {
    const { rows } = await this.#admin.query<{ server_version: string }>('show server_version')
    return rows[0]?.server_version ?? ''
  }

  /** CPU time of the whole server so far, in milliseconds; `null` where the system does not tell. */
  cpuMs(): number | null {
    return postgresCpuMs(this.#server.postmasterPid)
  }

  /** Bytes of WAL that the server has written so far. */
  async walBytes(): Promise<number> {
    const { rows } = await this.#admin.query<{ bytes: number }>(
      `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as bytes`,
    )
    return rows[0]?.bytes ?? Number.NaN
  }

  /** A migrated database with nothing in it. */
  async createDatabase(version: Version = thisVersion): Promise<BenchDatabase> {
    this.#made += 1
    const name = `${version.name}_${this.#made}`
    await this.#makeTemplate(version)
    await this.#admin.query(`create database ${name} template ${templateOf(version)}`)
    return BenchDatabase.connect(urlOf(this.#server, name), version, async (pool) => {
      if (this.#profileInto !== null) await writeStatementCosts(pool, this.#profileInto, name)
      await pool.end()
      await this.#admin.query(`drop database ${name} with (force)`)
    })
  }

  /** By the version's own program. */
  async #makeTemplate(version: Version): Promise<void> {
    const template = templateOf(version)
    if (this.#templates.has(template)) return
    await this.#admin.query(`create database ${template}`)
    const env = { PATH: process.env['PATH'], DATABASE_URL: urlOf(this.#server, template) }
    execFileSync(process.execPath, [version.cli, 'migrate'], { env, stdio: ['ignore', 'ignore', 'inherit'] })
    if (this.#profileInto !== null)
      await onDatabase(urlOf(this.#server, template), 'create extension pg_stat_statements')
    this.#templates.add(template)
  }

  async stop(): Promise<void> {
    await this.#admin.end()
    await this.#server.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function urlOf(server: EmbeddedDatabase, name: string): string {
  const url = new URL(server.url)
  url.pathname = name
  return url.href
}

async function onDatabase(url: string, statement: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query(statement)
  await client.end()
}
