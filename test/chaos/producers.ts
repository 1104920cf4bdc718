import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { HintSender } from '../../src/database/hints.ts'
import { connectionSettings } from '../../src/database/pool.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { businesses } from './businesses.ts'
import { SeededRandom } from './random.ts'

export interface ProducedEvent {
  businessId: string
  /** SHA-256 of the payload's bytes, in hex. */
  bodyHash: string
}

/** The producers' own record, by delivery id. */
export interface ProducerLedger {
  /** Their commit was acknowledged. */
  committed: Map<string, ProducedEvent>
  /** Enqueued in a transaction that was rolled back on purpose. */
  rolledBack: Set<string>
  /** Commits whose answer was not heard: the event was enqueued again until one was. */
  unheardCommits: number
  /** Events that were enqueued once more after their commit. */
  repeated: number
}

const sample = readFileSync(new URL('../fixtures/call.completed.json', import.meta.url), 'utf8')
const sampleBusiness = '"business_id":"10"'
const sampleCall = /"call_id":"CA[0-9a-f]+"/

const rolledBackShare = 0.1
/** Transactions that stay open for a while after the enqueue: their rows appear behind those of later ones. */
const slowShare = 0.03
const repeatedShare = 0.03
/** The rest of the commits is not hinted at: a hint may be lost. */
const hintedShare = 0.8
/** What the busy businesses have of the traffic: as much as their receivers take, a POST after the other. */
const busyShare = 0.3
const ids = businesses.map(({ businessId }) => businessId)
const busyIds = businesses.filter(({ busy }) => busy).map(({ businessId }) => businessId)
const mostUnderWay = 200
const againMs = 100

/** Commits events in transactions of their own, at a steady rate, and keeps a record that no fault touches. */
export class Producers {
  readonly ledger: ProducerLedger = { committed: new Map(), rolledBack: new Set(), unheardCommits: 0, repeated: 0 }
  readonly #pool: pg.Pool
  readonly #hints: HintSender
  readonly #random: SeededRandom
  readonly #underWay = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | null = null
  #owedSinceMs = 0
  #begun = 0

  constructor(databaseUrl: string, seed: number) {
    this.#pool = new pg.Pool({ ...connectionSettings(databaseUrl, 'callbox producer'), max: 30 })
    this.#pool.on('error', () => undefined)
    this.#pool.on('connect', (client) => client.on('error', () => undefined))
    this.#hints = new HintSender(this.#pool, defaultSchema)
    this.#random = new SeededRandom(seed)
  }

  /** @param perSecond events begun. */
  start(perSecond: number): void {
    this.#owedSinceMs = performance.now()
    this.#timer = setInterval(() => {
      const owed = Math.floor(((performance.now() - this.#owedSinceMs) / 1000) * perSecond)
      for (; this.#begun < owed; this.#begun += 1) {
        // With the database away nothing ends; what is owed then is not made up for.
        if (this.#underWay.size >= mostUnderWay) continue
        const done = this.#produce().finally(() => this.#underWay.delete(done))
        this.#underWay.add(done)
      }
    }, 5)
  }

  /** Begins nothing more, and ends when every event is known to be committed or rolled back. */
  async stop(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    await this.#hints.flush()
    await this.#pool.end()
  }

  async #produce(): Promise<void> {
    const random = this.#random
    const businessId = random.pick(random.next() < busyShare ? busyIds : ids)
    const direction = random.pick(['inbound', 'outbound'])
    const rollsBack = random.next() < rolledBackShare
    const openMs = random.next() < slowShare ? random.between(500, 8_000) : 0
    const isRepeated = random.next() < repeatedShare
    const isHinted = random.next() < hintedShare
    const callSid = `CA${randomUUID().replaceAll('-', '')}`
    const payload = sample
      .replace(sampleBusiness, `"business_id":"${businessId}"`)
      .replace(sampleCall, `"call_id":"${callSid}"`)
    const values = [businessId, callSid, 'call.completed', direction, payload]

    if (rollsBack) return this.#rollBack(values, openMs)
    const id = await this.#commitUntilKnown(values, openMs)
    this.ledger.committed.set(id, { businessId, bodyHash: createHash('sha256').update(payload).digest('hex') })
    if (isHinted) this.#hints.hint(businessId, direction)
    if (!isRepeated) return
    this.ledger.repeated += 1
    const again = await this.#commitUntilKnown(values, 0)
    if (again !== id) throw new Error(`the same event was enqueued as ${id} and as ${again}`)
  }

  /** The enqueue changes nothing when it is repeated, so a commit that was not heard is made again. */
  async #commitUntilKnown(values: readonly string[], openMs: number): Promise<string> {
    for (let openForMs = openMs; ; openForMs = 0) {
      let commitSent = false
      const id = await this.#inTransaction(values, openForMs, async (client) => {
        commitSent = true
        // A transaction that has failed answers a commit with ROLLBACK.
        return (await client.query('commit')).command === 'COMMIT'
      })
      if (id !== null) return id
      if (commitSent) this.ledger.unheardCommits += 1
      await new Promise((resolve) => setTimeout(resolve, againMs))
    }
  }

  async #rollBack(values: readonly string[], openMs: number): Promise<void> {
    // Whether the rollback is heard or the connection lost, nothing of it is committed.
    await this.#inTransaction(values, openMs, async (client, id) => {
      this.ledger.rolledBack.add(id)
      await client.query('rollback')
      return true
    })
  }

  /** @returns the delivery's id; `null` when it did not end as `end` wanted it. */
  async #inTransaction(
    values: readonly string[],
    openMs: number,
    end: (client: pg.PoolClient, id: string) => Promise<boolean>,
  ): Promise<string | null> {
    let client: pg.PoolClient | null = null
    try {
      client = await this.#pool.connect()
      await client.query('begin')
      const sql = 'select callbox.callbox_enqueue($1, $2, $3, $4, $5) as id'
      const { rows } = await client.query<{ id: string }>(sql, [...values])
      const id = rows[0]?.id ?? ''
      if (openMs > 0) await new Promise((resolve) => setTimeout(resolve, openMs))
      const ended = await end(client, id)
      client.release()
      return ended ? id : null
    } catch (error) {
      client?.release(true)
      if (error instanceof Error && 'code' in error && /^22|^23|^42/.test(String(error.code))) throw error
      return null
    }
  }
}
