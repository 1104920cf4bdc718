import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { connectionSettings } from './pool.ts'
import { schemaOfConnections } from './schema.ts'

const ignore = (): void => undefined

/** knex, for migrations, admin filters and the transactions of the pipeline; the dispatcher's hot path speaks `pg`. */
export function createKnex(url: string, schema: string, applicationName: string, max: number): Knex {
  const useSchema = schemaOfConnections(schema)
  return knex({
    client: 'pg',
    connection: connectionSettings(url, applicationName),
    pool: {
      min: 0,
      max,
      afterCreate: (connection: pg.Client, done: (error: null, connection: pg.Client) => void) => {
        useSchema(connection)
        done(null, connection)
      },
    },
    acquireConnectionTimeout: 10_000,
    // Else the message of every failed statement carries its values: phone numbers, transcripts.
    compileSqlOnError: false,
    // It would write to the console, past our log; what matters of it is also thrown.
    log: { warn: ignore, error: ignore, deprecate: ignore, debug: ignore },
  })
}
