import type pg from 'pg'
import { statementName } from './schema.ts'

/** Of a pooler that hands each transaction another connection: PgBouncer before 1.21 in transaction mode. */
const foreignConnection: readonly unknown[] = [
  '26000', // invalid_sql_statement_name: it was prepared on another connection
  '42P05', // duplicate_prepared_statement: this connection had it from somebody else
]

/** How rows arrive: in PostgreSQL's binary format, and with parsers of their own. */
export interface RowFormat {
  binary?: boolean
  types?: pg.CustomTypesConfig
}

/**
 * A statement that is repeated all the time and is planned once for each connection (bench/NOTES.md, "PlannedStatement").
 *
 * Where the connection is not ours alone it goes on without, from the first error on that says so. The name is made of
 * the text, so that another version's statement is never run in its place.
 */
export class PlannedStatement {
  readonly #text: string
  readonly #format: RowFormat
  #name: string | undefined

  constructor(text: string, format: RowFormat = {}) {
    this.#text = text
    this.#format = format
    this.#name = statementName(text)
  }

  /** @param isWorthPlan a plan made now will do for later; else it is planned for this once. */
  async run<Row extends pg.QueryResultRow>(pool: pg.Pool, values: unknown[], isWorthPlan: boolean): Promise<Row[]> {
    const name = isWorthPlan ? this.#name : undefined
    const statement = { ...this.#format, text: this.#text, values }
    try {
      const { rows } = await pool.query<Row>({ ...statement, ...(name !== undefined && { name }) })
      return rows
    } catch (error) {
      if (name === undefined || !isForeign(error)) throw error
      this.#name = undefined
      const { rows } = await pool.query<Row>(statement)
      return rows
    }
  }
}

const isForeign = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && foreignConnection.includes(error.code)
