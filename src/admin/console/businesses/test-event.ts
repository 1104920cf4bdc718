import express, { type Request } from 'express'
import { testEventType } from '../../../calls/test-event.ts'
import { deliveryNotFound } from '../../delivery-records.ts'
import { sendTestEvent } from '../../operations/send-test-event.ts'
import { readPath } from '../../read-request.ts'
import { businessPath } from '../../schemas/business.ts'
import { deliveryPath } from '../../schemas/delivery.ts'
import { testEventOrder } from '../../schemas/test-event.ts'
import type { ConsoleParts } from '../console.ts'
import { attemptTimeline } from '../deliveries/attempt-timeline.ts'
import { readWholeDelivery, type WholeDelivery } from '../deliveries/delivery-reading.ts'
import { type Html, html } from '../html.ts'
import { livePart } from '../live-part.ts'
import { readForm } from '../read-form.ts'
import { status } from '../status.ts'
import { operatorOf } from '../visit.ts'

const everySeconds = 1
const path = businessPath.extend(deliveryPath.shape)

/** Sends a test event, and tells what came of it on the page of its business. */
export function testEventPages(parts: ConsoleParts): express.Router {
  const router = express.Router()

  router.post('/businesses/:business_id/test-events', async (request, response) => {
    const { business_id: id } = readPath(request, businessPath)
    const { direction } = readForm(request, testEventOrder)
    const delivery = await sendTestEvent(parts, operatorOf(response), id, direction)
    response.redirect(303, `/console/businesses/${id}?test=${delivery.id}`)
  })

  router.get('/businesses/:business_id/test-events/:id', async (request, response) => {
    const { business_id: businessId, id } = readPath(request, path)
    response.type('html').send(String(await testEventPanel(parts, businessId, id)))
  })
  return router
}

/** The test event that the address of a business's page names; `null`: none. */
export async function testEventOf(parts: ConsoleParts, businessId: string, request: Request): Promise<Html | null> {
  const named = deliveryPath.safeParse({ id: request.query['test'] })
  return named.success ? testEventPanel(parts, businessId, named.data.id) : null
}

/** @throws {Problem} 404: the business has no such test event. */
async function testEventPanel(parts: ConsoleParts, businessId: string, id: string): Promise<Html> {
  const whole = await readWholeDelivery(parts, id)
  const { delivery } = whole
  if (delivery.business_id !== businessId || delivery.event_type !== testEventType) throw deliveryNotFound(id)
  return livePart(
    'test-event',
    `/console/businesses/${businessId}/test-events/${id}`,
    isAnswered(whole) ? null : everySeconds,
    html`<section class="card" aria-label="Test event"><div class="card-head">
<h2>Test event, ${delivery.direction} ${status(delivery.status)}</h2>
<a class="button" href="/console/deliveries/${id}">Open its delivery</a></div>
${attemptTimeline(whole, 'last')}</section>`,
  )
}

const isAnswered = ({ delivery, attempts }: WholeDelivery): boolean =>
  delivery.status !== 'pending' || attempts.length > 0
