import express from 'express'
import { discardDelivery } from '../../operations/discard-delivery.ts'
import { requeueDelivery } from '../../operations/requeue-delivery.ts'
import { Problem } from '../../problems.ts'
import { readPath } from '../../read-request.ts'
import { deliveryPath, discardOrder } from '../../schemas/delivery.ts'
import type { ConsoleParts } from '../console.ts'
import { html } from '../html.ts'
import { redirectWith, sendPage } from '../page.ts'
import { readForm } from '../read-form.ts'
import { operatorOf, visitOf } from '../visit.ts'
import { type ShownAttempts, shownAttempts } from './attempt-timeline.ts'
import { readPayload, readWholeDelivery, type WholeDelivery } from './delivery-reading.ts'
import { curlCard, deliveryProgress, payloadCard, payloadFileName } from './delivery-view.ts'

/** `/console/deliveries/{id}`: what is sent, what was answered, what comes next. */
export function deliveryPage(parts: ConsoleParts): express.Router {
  const router = express.Router()

  const read = async (request: express.Request): Promise<WholeDelivery & { shown: ShownAttempts }> => {
    const whole = await readWholeDelivery(parts, readPath(request, deliveryPath).id)
    return { ...whole, shown: shownAttempts.parse(request.query['attempts']) }
  }

  router.get('/deliveries/:id', async (request, response) => {
    const whole = await read(request)
    const { id } = whole.delivery
    sendPage(response, {
      title: `Delivery ${id}`,
      heading: html`Delivery <span class="mono id" id="delivery-id">${id}</span>`,
      place: 'deliveries',
      actions: html`<button type="button" data-copy="#delivery-id">Copy the id</button>`,
      body: html`${deliveryProgress(response, whole)}${payloadCard(whole)}${curlCard(whole)}`,
    })
  })

  router.get('/deliveries/:id/progress', async (request, response) => {
    response.type('html').send(String(deliveryProgress(response, await read(request))))
  })

  router.get('/deliveries/:id/payload', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const payload = await readPayload(parts.knex, id)
    if (payload === null) throw new Problem(404, 'retention has taken the payload of this delivery')
    response.attachment(payloadFileName(id)).send(payload)
  })

  router.post('/deliveries/:id/requeue', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const { waits_for: waitsFor } = await requeueDelivery(parts, operatorOf(response), id)
    const said = waitsFor === null ? 'The delivery is due now.' : `The delivery is due, and waits for ${waitsFor}.`
    await redirectWith(response, `/console/deliveries/${id}`, visitOf(response), said)
  })

  router.post('/deliveries/:id/discard', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const { reason } = readForm(request, discardForm)
    await discardDelivery(parts, operatorOf(response), id, reason)
    await redirectWith(response, `/console/deliveries/${id}`, visitOf(response), 'The delivery was discarded.')
  })
  return router
}

/** In the console a reason is required: it is what the next operator reads. */
const discardForm = discardOrder.required()
