import type { Knex } from 'knex'
import { testCallSid, testEventPayload, testEventType } from '../../calls/test-event.ts'
import { deliveriesOf } from '../../outbox/deliveries.ts'
import { type Direction, routeFor } from '../../outbox/routing.ts'
import { recordAct } from '../audit-records.ts'
import { type BusinessRow, findBusiness } from '../business-records.ts'
import { toDelivery } from '../delivery-records.ts'
import { Problem } from '../problems.ts'
import type { TestEventAnswer } from '../schemas/test-event.ts'
import type { OperationParts } from './operation-parts.ts'

/**
 * Enqueues an event that is made up, as any program would: it goes the way of all others, and its delivery tells what
 * was answered.
 *
 * @throws {Problem} 404: there is no such business.
 */
export async function sendTestEvent(
  { knex, hints, log }: Pick<OperationParts, 'knex' | 'hints' | 'log'>,
  operator: string,
  businessId: string,
  direction: Direction,
): Promise<TestEventAnswer> {
  const callSid = testCallSid()
  const answer = await knex.transaction(async (trx) => {
    const business = await findBusiness(trx, businessId)
    if (business === null) throw new Problem(404, `there is no business ${businessId}`)
    const [serviceCategory = ''] = business.service_categories
    const payload = testEventPayload({ businessId, callSid, direction, now: await databaseTime(trx), serviceCategory })
    const { rows } = await trx.raw<{ rows: { id: string }[] }>('select callbox.callbox_enqueue(?, ?, ?, ?, ?) as id', [
      ...[businessId, callSid, testEventType, direction, payload],
    ])
    const id = rows[0]?.id ?? ''
    await recordAct(trx, { operator, action: 'test_event.sent', businessId, direction, callSid, deliveryId: id })
    const [delivery] = await deliveriesOf(trx, [{ businessId, id }])
    if (delivery === undefined) throw new Error('a test event is gone within its own transaction')
    return { ...toDelivery(delivery), remark: await remarkOn(trx, business, direction) }
  })
  hints.hint(businessId, direction)
  log.info(
    { event: 'admin.test_event_sent', operator, business_id: businessId, direction, delivery_id: answer.id },
    'a test event was enqueued',
  )
  return answer
}

async function databaseTime(trx: Knex.Transaction): Promise<Date> {
  const { rows } = await trx.raw<{ rows: { now: Date }[] }>('select now()')
  const [row] = rows
  if (row === undefined) throw new Error('the database did not tell the time')
  return row.now
}

async function remarkOn(trx: Knex.Transaction, business: BusinessRow, direction: Direction): Promise<string | null> {
  const route = await trx('callbox.routes')
    .where({ business_id: business.business_id, direction })
    .first<{ state: string; state_reason: string | null } | undefined>('state', 'state_reason')
  if (route?.state === 'parked') {
    return `it waits until its route is unparked, which was parked for this: ${route.state_reason ?? 'no reason is known'}`
  }
  const urls = {
    inbound: business.inbound_webhook_url,
    outbound: business.outbound_webhook_url,
    generic: business.generic_webhook_url,
  }
  const routing = routeFor(direction, urls)
  if ('skipped' in routing) return `it will be skipped: ${routing.skipped}`
  if (route?.state !== 'failing') return null
  return 'its endpoint has failed again and again, so one delivery at a time is let through: it may have to wait'
}
