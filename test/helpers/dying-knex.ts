import knex, { type Knex } from 'knex'
import type pg from 'pg'
import { atEnd } from './at-end.ts'

type Heard = (error: Error | null, result?: unknown) => void

/** A knex whose connections are cut after the answer to their `n`th statement, as when the process dies there. */
export function knexThatDiesAfter(databaseUrl: string, n: number): { knex: Knex; statements: string[] } {
  const statements: string[] = []
  const dying = knex({
    client: 'pg',
    connection: { connectionString: databaseUrl },
    pool: {
      min: 0,
      max: 1,
      afterCreate(client: pg.Client, ready: (error: null, client: pg.Client) => void) {
        const query = client.query.bind(client) as (config: { text: string }, heard: Heard) => void
        const dieOrAnswer = (config: { text: string }, heard: Heard): void =>
          query(config, (error, result) => {
            statements.push(config.text)
            if (statements.length !== n) return heard(error, result)
            client.end()
            return heard(new Error('injected'))
          })
        Object.assign(client, { query: dieOrAnswer })
        client.on('error', () => undefined)
        ready(null, client)
      },
    },
  })
  atEnd(() => dying.destroy())
  return { knex: dying, statements }
}
