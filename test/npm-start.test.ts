import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished, test } from 'vitest'
import { secretsKey } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

test('a SIGTERM to npm is one to the process that it runs', async () => {
  const database = await createTestDatabase()
  const npm = spawn('npm', ['start', 'dispatcher'], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: database.url,
      SECRETS_KEY: secretsKey.toString('base64'),
      METRICS_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  })
  // Of its group: what npm left behind would live on.
  onTestFinished(() => {
    try {
      if (npm.pid !== undefined) process.kill(-npm.pid, 'SIGKILL')
    } catch {}
  })
  const over = once(npm, 'close')
  let printed = ''
  npm.stdout.on('data', (chunk) => {
    printed += chunk
  })
  await eventually('it is ready', () => printed.includes('service.ready'))
  npm.kill('SIGTERM')
  await eventually('the dispatcher has stopped', () => printed.includes('service.stopped'))
  await over
})
