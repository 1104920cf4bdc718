import express from 'express'
import { listDeliveries } from '../../../outbox/deliveries.ts'
import { callNotFound, findCall, toCall } from '../../call-records.ts'
import { toDelivery } from '../../delivery-records.ts'
import { reprocessCall } from '../../operations/reprocess-call.ts'
import { readPath } from '../../read-request.ts'
import { type CallAnswer, callPath } from '../../schemas/call.ts'
import type { ConsoleParts } from '../console.ts'
import { deliveryTable, nameDeliveries } from '../deliveries/delivery-table.ts'
import { html } from '../html.ts'
import { redirectWith, sendPage } from '../page.ts'
import { operatorOf, visitOf } from '../visit.ts'
import { callProgress, callText } from './call-view.ts'

/** A call has a delivery for each type of event. */
const mostDeliveries = 50

/** `/console/calls/{call_sid}`: its steps, what came of it, and its deliveries. */
export function callPage(parts: ConsoleParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  const read = async (request: express.Request): Promise<CallAnswer> => {
    const { call_sid: callSid } = readPath(request, callPath)
    const row = await findCall(knex, callSid)
    if (row === null) throw callNotFound(callSid)
    return toCall(row)
  }

  router.get('/calls/:call_sid', async (request, response) => {
    const call = await read(request)
    const { rows } = await listDeliveries(knex, { call_sid: call.call_sid }, mostDeliveries, undefined)
    const named = await nameDeliveries(knex, rows.map(toDelivery))
    sendPage(response, {
      title: `Call ${call.call_sid}`,
      heading: html`Call <span class="mono id" id="call-sid">${call.call_sid}</span>`,
      place: 'calls',
      actions: html`<button type="button" data-copy="#call-sid">Copy the CallSid</button>`,
      body: html`${callProgress(response, call)}
<section class="stack"><h2>Its deliveries</h2>${deliveryTable(named, 'It has none yet: the first is made when the call is completed.')}</section>
${callText(call)}`,
    })
  })

  router.get('/calls/:call_sid/progress', async (request, response) => {
    response.type('html').send(String(callProgress(response, await read(request))))
  })

  router.post('/calls/:call_sid/reprocess', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    await reprocessCall(parts, operatorOf(response), callSid)
    const said = 'The call is queued again. No recording is transcribed twice.'
    await redirectWith(response, `/console/calls/${callSid}`, visitOf(response), said)
  })
  return router
}
