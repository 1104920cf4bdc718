/** Reads statements from its input, one a line, and prints the first value of each: what the tests need of `psql`. */
import { createInterface } from 'node:readline'
import pg from 'pg'

const client = new pg.Client(process.argv[2])
await client.connect()
for await (const statement of createInterface({ input: process.stdin })) {
  const { rows } = await client.query({ text: statement, rowMode: 'array' })
  process.stdout.write(`${rows[0]?.[0] ?? ''}\n`)
}
await client.end()
