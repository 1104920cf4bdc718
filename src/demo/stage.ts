import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig, roles } from '../config.ts'
import { openDatabase } from '../database/open.ts'
import { startLoopbackServer } from './loopback-server.ts'
import { startOpenAiStandIn } from './openai-stand-in.ts'
import { type Receiver, startReceiver } from './receiver.ts'
import { spawnRole } from './roles.ts'
import { step } from './screen.ts'
import { mindOf, type Speech } from './speech.ts'
import { startTwilioStandIn, type TwilioStandIn } from './twilio-stand-in.ts'

/** All that the demo plays on. */
export interface Stage {
  apiUrl: string
  adminToken: string
  databaseUrl: string
  /** Directory of the roles' logs. */
  logs: string
  twilio: TwilioStandIn
  receiver: Receiver
  /** Rejects when one of the roles ends by itself. */
  failed: Promise<never>
}

/** Public settings that make a day of retries a matter of seconds. */
const shortened = {
  WEBHOOK_RETRY_SCHEDULE: '1s,2s,3s',
  WEBHOOK_TIMEOUT: '4s',
  WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
}

/** Settings of the person who runs the demo that must not reach into it; an empty one counts as unset. */
const unset = {
  DATABASE_DIRECT_URL: '',
  DATABASE_SCHEMA: '',
  ADMIN_PORT: '',
  ADMIN_URL: '',
  TRUSTED_PROXIES: '',
  SECRETS_KEY_PREVIOUS: '',
  WEBHOOK_PROXY_URL: '',
  DISPATCHER_CONCURRENCY: '',
  RETENTION_DAYS: '',
  LOG_LEVEL: '',
}

/** Whether the real OpenAI, or what `OPENAI_BASE_URL` names, is to be used. */
export const usesRealOpenAi = (): boolean => (process.env['OPENAI_API_KEY'] ?? '').trim() !== ''

/** Starts everything and leaves its end to `cleanup`. Nothing is left behind when it throws and `cleanup` is disposed. */
export async function setStage(
  speeches: readonly Speech[],
  cleanup: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'callbox-demo-'))
  cleanup.defer(() => rmSync(home, { recursive: true, force: true }))
  const logs = join(home, 'logs')
  mkdirSync(logs)

  const database = await step('PostgreSQL 18, embedded, with the schema', () =>
    openDatabase(readConfig({ CALLBOX_HOME: home }), true),
  )
  cleanup.defer(() => database.embedded?.stop())
  signal.throwIfAborted()

  const account = {
    accountSid: `AC${randomBytes(16).toString('hex')}`,
    authToken: randomBytes(16).toString('hex'),
  }
  const twilio = await startTwilioStandIn(account)
  cleanup.defer(() => twilio.close())
  const receiver = await startReceiver()
  cleanup.defer(() => receiver.close())

  const apiPort = await freePort()
  const apiUrl = `http://127.0.0.1:${apiPort}`
  const adminToken = database.adminTokens[0]?.token ?? ''
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ...unset,
    ...shortened,
    ...(usesRealOpenAi() ? {} : await openAiStandIn(speeches, cleanup)),
    CALLBOX_HOME: home,
    DATABASE_URL: database.url,
    ADMIN_TOKEN: adminToken,
    SECRETS_KEY: database.secretsKey?.toString('base64'),
    PORT: String(apiPort),
    METRICS_PORT: '0',
    PUBLIC_URL: apiUrl,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    TWILIO_API_URL: twilio.url,
  }
  const { failed } = await step('api, worker and dispatcher, a process each', () =>
    startRoles(env, logs, cleanup, signal),
  )
  return { apiUrl, adminToken, databaseUrl: database.url, logs, twilio, receiver, failed }
}

/** Starts every role and waits until all are ready; what it returns rejects when one ends by itself. */
async function startRoles(
  env: NodeJS.ProcessEnv,
  logs: string,
  cleanup: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<{ failed: Promise<never> }> {
  const running = roles.map((role) => spawnRole(role, env, logs))
  cleanup.defer(async () => {
    await Promise.all(running.map((role) => role.stop()))
  })
  const failed = Promise.race(running.map((role) => role.failed))
  failed.catch(() => undefined)
  const aborted = Promise.withResolvers<never>()
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true })
  await Promise.race([Promise.all(running.map((role) => role.ready)), failed, aborted.promise])
  return { failed }
}

async function openAiStandIn(
  speeches: readonly Speech[],
  cleanup: AsyncDisposableStack,
): Promise<Record<string, string>> {
  const apiKey = `sk-demo-${randomBytes(16).toString('hex')}`
  const standIn = await startOpenAiStandIn(apiKey, mindOf(speeches))
  cleanup.defer(() => standIn.close())
  return {
    OPENAI_API_KEY: apiKey,
    OPENAI_BASE_URL: standIn.baseUrl,
    OPENAI_TRANSCRIBE_MODEL: '',
    OPENAI_SUMMARY_MODEL: '',
  }
}

/** A port that was free a moment ago: what Twilio signs is known before the API listens. */
async function freePort(): Promise<number> {
  const server = await startLoopbackServer(() => undefined)
  await server.close()
  return server.port
}
