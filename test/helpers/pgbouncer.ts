import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../../src/database/free-port.ts'
import { eventually } from './eventually.ts'

export const pgbouncerInstalled = spawnSync('pgbouncer', ['--version']).status === 0

/**
 * PgBouncer in transaction mode before a PostgreSQL. Four connections for all clients, so that a client's transactions
 * meet different ones.
 */
export async function startPgbouncer(databaseUrl: string): Promise<{ url: string; stop(): Promise<void> }> {
  const target = new URL(databaseUrl)
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'callbox-pgbouncer-'))
  const file = join(directory, 'pgbouncer.ini')
  const password = decodeURIComponent(target.password)
  writeFileSync(
    file,
    `[databases]
* = host=${target.hostname} port=${target.port} user=${target.username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
server_round_robin = 1
max_client_conn = 200
user = nobody
`,
  )
  chmodSync(directory, 0o755)
  const bouncer = spawn('pgbouncer', ['--quiet', file], { stdio: 'ignore' })
  const exited = once(bouncer, 'exit')
  const url = new URL(databaseUrl)
  url.host = `127.0.0.1:${port}`
  await eventually('PgBouncer answers', async () => {
    const client = new pg.Client(url.href)
    return client
      .connect()
      .then(() => client.end())
      .then(
        () => true,
        () => false,
      )
  })
  return {
    url: url.href,
    async stop() {
      bouncer.kill('SIGKILL')
      await exited
      rmSync(directory, { recursive: true })
    },
  }
}
