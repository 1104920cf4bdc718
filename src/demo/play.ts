import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AdminClient, type DeliveryView } from './admin-client.ts'
import { follow } from './observer.ts'
import { businesses, type DemoBusiness, type DemoCall, troubles } from './scenario.ts'
import { callLine, heading, introduceCall, step } from './screen.ts'
import { type Stage, usesRealOpenAi } from './stage.ts'
import { callStatusParams, postCallback, recordingStatusParams } from './twilio-callbacks.ts'
import { judge, type Verdict } from './verdict.ts'

/** Between the ends of two calls, so that their stories can be told apart. */
const betweenCallsMs = 250

/**
 * Sets up the businesses, lets the calls end one after the other and follows each to its end.
 *
 * @param signal ends it by an error.
 * @param overdue ends the following; what has not arrived by then is lost.
 */
export async function play(
  stage: Stage,
  calls: readonly DemoCall[],
  signal: AbortSignal,
  overdue: AbortSignal,
): Promise<Verdict> {
  const admin = new AdminClient(stage.apiUrl, stage.adminToken, signal)
  await step(`${businesses.length} businesses, set up through the admin API`, async () => {
    for (const business of businesses) await setUp(business, admin, stage)
  })
  for (const [path, answers] of Object.entries(troubles)) stage.receiver.answers.queue(path, ...answers)

  heading('The calls')
  for (const call of calls) introduceCall(call)

  heading('What becomes of them')
  const begun = performance.now()
  const deliveries = new Map<DemoCall, DeliveryView[]>()
  const ring = async (call: DemoCall): Promise<void> => {
    const tell = (text: string): void => callLine(performance.now() - begun, call, text)
    await sleep((call.number - 1) * betweenCallsMs, undefined, { signal })
    await admin.patchCall(call.callSid, call.details)
    await end(call, stage)
    tell(`call over; Twilio reports: ${call.callbacks.join(', ')}`)
    deliveries.set(call, await follow(call, admin, tell, signal, overdue))
  }
  await Promise.all(calls.map(ring))
  return judge(calls, deliveries, stage.receiver.posts, !usesRealOpenAi())
}

async function setUp(business: DemoBusiness, admin: AdminClient, { receiver }: Stage): Promise<void> {
  const secret = `whsec_${randomBytes(32).toString('base64')}`
  const endpoint = (path: string | undefined): string | null => (path ? receiver.endpoint(path, secret) : null)
  await admin.putBusiness(business.id, {
    name: business.name,
    phone_numbers: [business.phone],
    inbound_webhook_url: endpoint(business.endpoints.inbound),
    outbound_webhook_url: endpoint(business.endpoints.outbound),
    generic_webhook_url: endpoint(business.endpoints.generic),
    signing_secret: secret,
    language: business.language,
    service_categories: business.serviceCategories,
  })
}

/** What Twilio does when a call has ended: it has the recording and the call, and says so. */
async function end(call: DemoCall, { twilio, apiUrl }: Stage): Promise<void> {
  twilio.addRecording(call.recordingSid, call.speech.mp3)
  twilio.addCall(call)
  for (const kind of call.callbacks) {
    const params =
      kind === 'status'
        ? callStatusParams(twilio.account, call)
        : recordingStatusParams(twilio.account, call, twilio.url)
    const path = kind === 'status' ? 'call_status' : 'recording_status'
    const url = `${apiUrl}/webhook/${path}#rc=5&rp=all`
    const status = await postCallback(twilio.account.authToken, url, params)
    if (status < 200 || status > 299)
      throw new Error(`the ${kind} callback of call ${call.number} was answered ${status}`)
  }
}
