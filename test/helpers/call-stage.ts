import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { AdminClient } from '../../src/demo/admin-client.ts'
import { startOpenAiStandIn } from '../../src/demo/openai-stand-in.ts'
import { startReceiver } from '../../src/demo/receiver.ts'
import { callStatusParams, postCallback, recordingStatusParams } from '../../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn } from '../../src/demo/twilio-stand-in.ts'
import { eventually } from './eventually.ts'
import { type ServiceProcess, startProcess } from './processes.ts'
import { newCall } from './twilio.ts'

const account = { accountSid: `AC${'d'.repeat(32)}`, authToken: 'stage-auth-token' }
const adminToken = 'stage-admin-token-0001'
const secret = `whsec_${randomBytes(24).toString('base64')}`
const mind = {
  transcribe: () => 'I have a flat to rent.',
  chat: ({ schema }: { schema: unknown }) =>
    schema === null ? 'A flat to rent in Haifa.' : { city: 'Haifa', service_category: null },
}

export interface CallStage {
  roles: { api: ServiceProcess; worker: ServiceProcess; dispatcher: ServiceProcess }
  /** What the role's `/readyz` answers: `[]` when it is ready. */
  notReady(role: keyof CallStage['roles']): Promise<string[]>
  untilReady(): Promise<void>
  /** A call ends; returns how its two callbacks were answered. */
  report(call: ReturnType<typeof newCall>): Promise<number[]>
  newCall(): ReturnType<typeof newCall>
  /** The body of the webhook of the call. */
  posted(callSid: string): Promise<Record<string, unknown>>
  putBusiness(): Promise<void>
}

/** All roles as processes of their own, with stand-ins for Twilio's and OpenAI's clouds, until the test ends. */
export async function startCallStage(databaseUrl: string): Promise<CallStage> {
  const home = mkdtempSync(join(tmpdir(), 'callbox-stage-'))
  const [twilio, openai, receiver] = await Promise.all([
    startTwilioStandIn(account),
    startOpenAiStandIn('sk-stage', mind),
    startReceiver(),
  ])
  onTestFinished(async () => {
    for (const standIn of [twilio, openai, receiver]) await standIn.close()
    rmSync(home, { recursive: true, force: true })
  })
  const settings = {
    PORT: '0',
    ADMIN_TOKEN: adminToken,
    CALLBOX_HOME: home,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    TWILIO_API_URL: twilio.url,
    OPENAI_API_KEY: 'sk-stage',
    OPENAI_BASE_URL: openai.baseUrl,
  }
  const start = (role: string) => startProcess([role], databaseUrl, settings)
  const roles = { api: start('api'), worker: start('worker'), dispatcher: start('dispatcher') }
  const portOf = async (role: ServiceProcess): Promise<number> =>
    Number((await role.untilLogged('service.listening'))['port'])
  const ports = {
    api: await portOf(roles.api),
    worker: await portOf(roles.worker),
    dispatcher: await portOf(roles.dispatcher),
  }
  const apiUrl = `http://127.0.0.1:${ports.api}`
  const path = receiver.endpoint('/stage', secret)
  const post = (kind: 'call_status' | 'recording_status', params: URLSearchParams | Record<string, string>) =>
    postCallback(account.authToken, `http://localhost:${ports.api}/webhook/${kind}`, params as never, apiUrl)

  const notReady = async (role: keyof CallStage['roles']): Promise<string[]> => {
    const answer = await fetch(`http://127.0.0.1:${ports[role]}/readyz`)
    const body = (await answer.json()) as { reasons?: string[] }
    return answer.status === 200 ? [] : (body.reasons ?? ['no reason'])
  }
  return {
    roles,
    notReady,
    async untilReady() {
      for (const role of ['api', 'worker', 'dispatcher'] as const) {
        await eventually(`${role} is ready`, async () => (await notReady(role)).length === 0)
      }
    },
    async report(call) {
      return [
        await post('call_status', callStatusParams(account, call) as never),
        await post('recording_status', recordingStatusParams(account, call, twilio.url) as never),
      ]
    },
    newCall() {
      const call = newCall()
      twilio.addCall(call)
      twilio.addRecording(call.recordingSid, randomBytes(1_000))
      return call
    },
    posted: (callSid) =>
      eventually(`${callSid} is posted`, () =>
        receiver.posts
          .map(({ body }) => JSON.parse(String(body)) as Record<string, unknown>)
          .find((body) => body['call_id'] === callSid),
      ),
    async putBusiness() {
      const admin = new AdminClient(apiUrl, adminToken, AbortSignal.timeout(60_000))
      await admin.putBusiness('10', {
        phone_numbers: ['+97237654321'],
        inbound_webhook_url: path,
        signing_secret: secret,
      })
    },
  }
}
