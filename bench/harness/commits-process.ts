/** Programs that commit one delivery after another, each on a connection of its own. */
import { hash, randomUUID } from 'node:crypto'
import pg from 'pg'
import { serve } from './child.ts'
import { payload } from './payload.ts'

export type CommittedBy = 'enqueue' | 'insert'

export type CommitMethods = {
  /** @returns commits per second. */
  commit(argument: {
    databaseUrl: string
    businesses: readonly number[]
    by: CommittedBy
    seconds: number
  }): Promise<number>
}

const connections = 16
const warmUpMs = 300

const statements = {
  enqueue: `select callbox.callbox_enqueue($1, $2, 'call.completed', 'inbound', $3::json)`,
  insert: `
    with row as (
      insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
      values ($1, $4, $2, 'call.completed', 'inbound', $3::json)
    )
    insert into callbox.webhook_due (business_id, id, direction, bytes) values ($1, $4, 'inbound', octet_length($3::text))`,
}

serve<CommitMethods>({
  async commit({ databaseUrl, businesses, by, seconds }) {
    const beginMs = performance.now() + warmUpMs
    const endMs = beginMs + seconds * 1000
    let commits = 0
    const work = async (offset: number): Promise<void> => {
      const client = new pg.Client(databaseUrl)
      await client.connect()
      for (let turn = offset; performance.now() < endMs; turn += 1) {
        const callSid = `CA${randomUUID().replaceAll('-', '')}`
        const business = businesses[turn % businesses.length] ?? 1
        const values = [business, callSid, payload]
        if (by === 'insert') values.push(deliveryId(business, callSid))
        await client.query({ name: by, text: statements[by], values })
        const nowMs = performance.now()
        if (nowMs >= beginMs && nowMs < endMs) commits += 1
      }
      await client.end()
    }
    await Promise.all(Array.from({ length: connections }, (_, index) => work(index * 7)))
    return commits / seconds
  },
})

/** The id that `callbox_enqueue` would give it: the same row means the same work. */
function deliveryId(business: number, callSid: string): string {
  const digest = hash('sha256', `${business}:call.completed:${callSid}`)
  return `${digest.slice(0, 12)}8${digest.slice(13, 16)}8${digest.slice(17, 32)}`
}
