import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../../src/database/embedded.ts'
import { embeddedSettings } from '../../src/database/embedded-settings.ts'
import { migrate } from '../../src/database/migrate.ts'
import { defaultSchema } from '../../src/database/schema.ts'

/** A PostgreSQL of the run's own, with durable commits, that may be stopped at once and started again. */
export class ChaosDatabase {
  readonly directory: string
  #server: EmbeddedDatabase

  private constructor(directory: string, server: EmbeddedDatabase) {
    this.directory = directory
    this.#server = server
  }

  static async start(): Promise<ChaosDatabase> {
    const directory = mkdtempSync(join(tmpdir(), 'callbox-chaos-'))
    const database = new ChaosDatabase(directory, await startIn(directory, 0))
    await migrate(database.url, defaultSchema)
    return database
  }

  get url(): string {
    return this.#server.url
  }

  /** PostgreSQL's "immediate" shutdown: no checkpoint, no goodbye; the next start recovers from the WAL. */
  async crash(): Promise<void> {
    process.kill(this.#server.postmasterPid, 'SIGQUIT')
    await this.#server.ended
  }

  async startAgain(): Promise<void> {
    this.#server = await startIn(this.directory, this.#server.port)
  }

  async remove(): Promise<void> {
    await this.#server.stop()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

function startIn(directory: string, port: number): Promise<EmbeddedDatabase> {
  return startEmbeddedDatabase({
    directory: join(directory, 'pg'),
    port,
    password: 'chaos-password',
    settings: embeddedSettings(),
  })
}
