import pg from 'pg'
import type { Version } from './version.ts'

/** The database of one measurement. */
export class BenchDatabase {
  readonly url: string
  readonly version: Version
  /** For what the benchmark itself asks; no deadline, since it fills tables. */
  readonly pool: pg.Pool
  readonly #drop: (pool: pg.Pool) => Promise<void>

  private constructor(url: string, version: Version, drop: (pool: pg.Pool) => Promise<void>) {
    this.url = url
    this.version = version
    this.pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'callbox bench' })
    this.pool.on('error', () => undefined)
    this.#drop = drop
  }

  /** @param drop ends the pool and drops the database. */
  static connect(url: string, version: Version, drop: (pool: pg.Pool) => Promise<void>): BenchDatabase {
    return new BenchDatabase(url, version, drop)
  }

  /** Leaves nothing to do behind: no dead rows, fresh statistics, nothing dirty. */
  async settleDown(): Promise<void> {
    await this.pool.query('vacuum (analyze)')
    await this.pool.query('checkpoint')
  }

  /** As if no dispatcher had ever run: one that was killed holds its slots for seconds. */
  async freeSlots(): Promise<void> {
    await this.pool.query('delete from callbox.dispatchers')
    await this.pool.query('update callbox.slots set owner = null')
  }

  drop(): Promise<void> {
    return this.#drop(this.pool)
  }
}
