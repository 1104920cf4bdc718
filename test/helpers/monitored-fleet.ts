import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { openAiErrors } from '../../src/demo/openai-errors.ts'
import { type Receiver, startReceiver } from '../../src/demo/receiver.ts'
import { sendReply } from '../../src/demo/scripted-answers.ts'
import type { TwilioCall } from '../../src/demo/twilio-call.ts'
import { callStatusParams, postCallback } from '../../src/demo/twilio-callbacks.ts'
import { twilioNotFound } from '../../src/demo/twilio-stand-in.ts'
import type { ReadinessAnswer } from '../../src/telemetry/health-answers.ts'
import { putBusiness } from './businesses.ts'
import { runCheck } from './check-process.ts'
import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { account, newWords, type Stage, setStage } from './pipeline.ts'
import { type ServiceProcess, spawnService } from './service-process.ts'

const publicUrl = 'https://callbox.example'
const healthy = Array.from({ length: 8 }, (_, n) => String(n + 1))
const flaky = '20'
const dead = '21'
const gone = '22'

/** A process of Callbox with the address of its metrics. */
export interface Scraped extends ServiceProcess {
  target: string
}

/** All roles as processes of their own, with receivers, Twilio and OpenAI on loopback, and load that goes on. */
export class MonitoredFleet {
  readonly api: Scraped
  worker: Scraped
  readonly dispatchers: Scraped[]
  readonly #database: TestDatabase
  readonly #receiver: Receiver
  readonly #stage: Stage
  /** Of every process. */
  readonly #settings: Record<string, string>
  #producing: NodeJS.Timeout | null = null
  #produced = 0

  private constructor(
    database: TestDatabase,
    receiver: Receiver,
    stage: Stage,
    settings: Record<string, string>,
    processes: { api: Scraped; worker: Scraped; dispatchers: Scraped[] },
  ) {
    this.#database = database
    this.#receiver = receiver
    this.#stage = stage
    this.#settings = settings
    this.api = processes.api
    this.worker = processes.worker
    this.dispatchers = processes.dispatchers
  }

  static async start(database: TestDatabase): Promise<MonitoredFleet> {
    const receiver = await startReceiver()
    const stage = await setStage(database)
    for (const business of [...healthy, flaky, dead, gone]) {
      const url = `${receiver.url}/${business}`
      const secret = await putBusiness(database, business, { inbound: url, outbound: url })
      receiver.endpoint(`/${business}`, secret)
    }
    const settings = {
      ...stage.environment,
      PORT: '0',
      PUBLIC_URL: publicUrl,
      ADMIN_TOKEN: 'a-token-for-monitoring',
      // Five failures in a row open a breaker: a delivery can be given up before.
      WEBHOOK_RETRY_SCHEDULE: '250ms,500ms,500ms',
    }
    const spawned = ['api', 'worker', 'dispatcher', 'dispatcher'].map((role) => spawnScraped(role, database, settings))
    const [api, worker, ...dispatchers] = await Promise.all(spawned)
    if (api === undefined || worker === undefined) throw new Error('a process is missing')
    return new MonitoredFleet(database, receiver, stage, settings, { api, worker, dispatchers })
  }

  /** By the job that scrapes them. */
  get targets(): Record<string, string[]> {
    return {
      'callbox-api': [this.api.target],
      'callbox-worker': [this.worker.target],
      'callbox-dispatcher': this.dispatchers.map(({ target }) => target),
    }
  }

  /** Events for one business after the other, in both directions, some of another type, until the end. */
  produce(): void {
    this.#producing = setInterval(() => {
      this.#produced += 1
      const business = healthy[this.#produced % healthy.length] ?? ''
      this.enqueue(business, this.#produced % 3 === 0 ? 'outbound' : 'inbound').catch(() => undefined)
      if (this.#produced % 2 === 0) this.enqueue(flaky, 'inbound').catch(() => undefined)
    }, 25)
  }

  async enqueue(business: string, direction: string): Promise<void> {
    const event = this.#produced % 5 === 0 ? 'order.shipped' : 'call.completed'
    const values = [business, crypto.randomUUID(), event, direction]
    await this.#database.pool.query(`select callbox_enqueue($1, $2, $3, $4, '{}')`, values)
  }

  /** One receiver answers every other POST with 500, one all of them, and one has gone. */
  async breakReceivers(): Promise<void> {
    const { answers } = this.#receiver
    let posts = 0
    answers.always(`/${flaky}`, (_request, response) => {
      posts += 1
      sendReply(response, { status: posts % 2 === 0 ? 200 : 500 })
    })
    answers.always(`/${dead}`, { status: 500 })
    answers.always(`/${gone}`, { status: 410 })
    for (const business of [dead, dead, dead, dead, gone]) await this.enqueue(business, 'inbound')
  }

  async record(calls: number): Promise<void> {
    for (let n = 0; n < calls; n += 1) await this.#stage.record(newWords())
  }

  /** One call that fails for good, one whose recording comes late, callbacks that are forged or nobody's, a guess. */
  async breakCalls(): Promise<void> {
    const { twilio, openai } = this.#stage
    // The call is given up after three tries, each with a fresh download.
    const unreadable = await this.#stage.record(newWords())
    openai.refuse = (request) =>
      'transcription' in request && request.transcription.sha256 === unreadable.sha256 ? openAiErrors.badAudio : null
    const late = await this.#stage.record(newWords())
    twilio.answers.queue(late.recordingSid, twilioNotFound)

    for (const token of [account.authToken, 'not-our-token']) await this.#postCallback(token)
    await fetch(`http://${this.api.target}/admin/routes`, { headers: { authorization: 'Bearer a-guess' } })
  }

  /** The database accepts no callbacks, then the API's disk fails too; one entry on disk is already damaged. */
  async breakCallbacks(): Promise<void> {
    const spool = this.#spool
    await this.#database.pool.query('alter table twilio_callbacks rename to callbacks_away')
    expect(await this.#postCallback(account.authToken)).toBe(204)
    const [entry = ''] = readdirSync(spool).filter((name) => name.endsWith('.callback'))
    const anHourAgo = `${(Date.now() - 3_600_000) * 1_000}`
    renameSync(join(spool, entry), join(spool, entry.replace(/^\d+/, anHourAgo)))
    writeFileSync(join(spool, 'damaged', entry), 'torn')
    await eventually('the API has looked at its disk', async () => {
      const { callbacks } = (await (await fetch(`http://${this.api.target}/readyz`)).json()) as ReadinessAnswer
      return callbacks !== undefined && callbacks.damaged === 1 && callbacks.oldest_seconds > 3_000
    })
    renameSync(spool, `${spool}-away`)
    writeFileSync(spool, '')
    expect(await this.#postCallback(account.authToken)).toBe(503)
  }

  async mendCallbacks(): Promise<void> {
    const spool = this.#spool
    rmSync(spool)
    renameSync(`${spool}-away`, spool)
    rmSync(join(spool, 'damaged'), { recursive: true })
    mkdirSync(join(spool, 'damaged'))
    await this.#database.pool.query('alter table callbacks_away rename to twilio_callbacks')
  }

  get #spool(): string {
    return join(String(this.#settings['CALLBOX_HOME']), 'spool')
  }

  /** A new worker asks about its models when one shuts down soon, and the service does not list the other for now. */
  async retireModels(): Promise<void> {
    const { models } = this.#stage.openai
    const [transcriber, writer] = [models.get('gpt-transcribe'), models.get('gpt-6-luna')]
    if (transcriber === undefined || writer === undefined) throw new Error('the stand-in lacks the default models')
    const shutdownDate = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10)
    models.set('gpt-6-luna', { ...writer, shutdownDate })
    models.delete('gpt-transcribe')
    this.worker.signal('SIGTERM')
    expect(await this.worker.exited()).toBe(0)
    const port = this.worker.target.replace(/^.*:/, '')
    this.worker = await spawnScraped('worker', this.#database, { ...this.#settings, METRICS_PORT: port })
    await this.worker.untilLogged('model.unknown')
    models.set('gpt-transcribe', transcriber)
  }

  /** A callback of a call that belongs to no business. */
  #postCallback(token: string): Promise<number> {
    const url = `${publicUrl}/webhook/call_status`
    return postCallback(token, url, callStatusParams(account, nobodysCall), `http://${this.api.target}`)
  }

  /** The language model refuses the key from now on, and calls come. */
  async refuseKey(): Promise<void> {
    this.#stage.openai.answers.always('/chat/completions', openAiErrors.badKey)
    await this.record(2)
  }

  /** An event loses its due row; `callbox check` finds it. */
  async loseEvent(): Promise<void> {
    const { pool, url } = this.#database
    await pool.query(`select callbox_enqueue(${gone}, 'CA-lost', 'call.completed', 'inbound', '{}')`)
    await pool.query(`delete from webhook_due where id = callbox_delivery_id(${gone}, 'CA-lost', 'call.completed')`)
    await runCheck(url)
  }

  /** What waits to be delivered or transcribed has waited for an hour. */
  async age(): Promise<void> {
    const { pool } = this.#database
    await pool.query(`update webhook_due set due_at = now() - interval '1 hour' where attempt_count = 0`)
    await pool.query(
      `update callbox_jobs.job set start_after = now() - interval '1 hour' where state in ('created', 'retry')`,
    )
  }

  async stop(): Promise<void> {
    if (this.#producing) clearInterval(this.#producing)
    for (const service of [this.api, this.worker, ...this.dispatchers]) {
      if (!service.hasExited()) service.signal('SIGKILL')
      await service.exited()
    }
    await this.#receiver.close()
  }
}

async function spawnScraped(role: string, database: TestDatabase, settings: Record<string, string>): Promise<Scraped> {
  const service = spawnService([role], database.url, settings)
  const { port } = await service.untilLogged('service.listening')
  await service.ready()
  return { ...service, target: `127.0.0.1:${port}` }
}

const nobodysCall: TwilioCall = {
  callSid: `CA${'0'.repeat(31)}1`,
  direction: 'inbound',
  from: '+972501234567',
  to: '+97237654321',
  startedAt: new Date('2025-12-10T14:23:19Z'),
  durationSec: 26,
  recordingSid: `RE${'0'.repeat(31)}1`,
}
