import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { AdminClient } from '../../src/demo/admin-client.ts'
import { type OpenAiStandIn, startOpenAiStandIn } from '../../src/demo/openai-stand-in.ts'
import { type ReceivedPost, type Receiver, startReceiver } from '../../src/demo/receiver.ts'
import type { TwilioCall } from '../../src/demo/twilio-call.ts'
import { callStatusParams, postCallback, recordingStatusParams } from '../../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn, type TwilioStandIn } from '../../src/demo/twilio-stand-in.ts'
import { eventually } from './eventually.ts'
import { type ServiceProcess, startProcess } from './processes.ts'
import { account, newCall } from './twilio.ts'

const adminToken = 'whole-callbox-admin-token'

/** Understands every recording in the same way. */
const mind = {
  transcribe: () => 'I have a flat to rent.',
  chat: ({ schema }: { schema: unknown }) =>
    schema === null ? 'A flat to rent in Haifa.' : { city: 'Haifa', service_category: null },
}

/** Twilio, OpenAI and a receiver, which several Callboxes may share. */
export interface Surroundings {
  twilio: TwilioStandIn
  openai: OpenAiStandIn
  receiver: Receiver
  /** A call that Twilio has, with its recording. */
  call(): TwilioCall
}

export async function startSurroundings(): Promise<Surroundings> {
  const [twilio, openai, receiver] = await Promise.all([
    startTwilioStandIn(account),
    startOpenAiStandIn('sk-whole', mind),
    startReceiver(),
  ])
  onTestFinished(async () => {
    for (const standIn of [twilio, openai, receiver]) await standIn.close()
  })
  return {
    ...{ twilio, openai, receiver },
    call() {
      const call = newCall()
      twilio.addCall(call)
      twilio.addRecording(call.recordingSid, randomBytes(1_000))
      return call
    },
  }
}

export interface WholeCallbox {
  process: ServiceProcess
  apiUrl: string
  admin: AdminClient
  /** What Twilio posts for a call. @returns the status of the answer. */
  callback(call: TwilioCall, kind: 'call_status' | 'recording_status'): Promise<number>
  /** A business with the number that calls of {@link newCall} go to; its webhooks go to `path` of the receiver. */
  putBusiness(id: string, path: string): Promise<void>
  /** Resolves when the receiver has a post about the call at `path`. */
  posted(path: string, callSid: string): Promise<ReceivedPost[]>
}

/** `callbox start` with the given roles in one process. */
export async function startCallbox(
  { twilio, openai, receiver }: Surroundings,
  roles: string[],
  databaseUrl: string,
  settings: Record<string, string> = {},
): Promise<WholeCallbox> {
  const process = startProcess(roles, databaseUrl, {
    ...{ PORT: '0', ADMIN_TOKEN: adminToken, CALLBOX_HOME: settings['CALLBOX_HOME'] ?? temporaryHome() },
    ...{ TWILIO_ACCOUNT_SID: account.accountSid, TWILIO_AUTH_TOKEN: account.authToken, TWILIO_API_URL: twilio.url },
    ...{ OPENAI_API_KEY: 'sk-whole', OPENAI_BASE_URL: openai.baseUrl },
    ...settings,
  })
  const port = Number((await process.untilLogged('service.listening'))['port'])
  const apiUrl = `http://127.0.0.1:${port}`
  const publicUrl = settings['PUBLIC_URL'] ?? `http://localhost:${port}`
  const admin = new AdminClient(apiUrl, adminToken, AbortSignal.timeout(120_000))
  return {
    ...{ process, apiUrl, admin },
    callback(call, kind) {
      const params =
        kind === 'call_status' ? callStatusParams(account, call) : recordingStatusParams(account, call, twilio.url)
      return postCallback(account.authToken, `${publicUrl}/webhook/${kind}`, params, apiUrl)
    },
    async putBusiness(id, path) {
      const secret = `whsec_${randomBytes(24).toString('base64')}`
      const url = receiver.endpoint(path, secret)
      await admin.putBusiness(id, {
        ...{ phone_numbers: ['+97237654321'], inbound_webhook_url: url, signing_secret: secret },
      })
    },
    posted: (path, callSid) =>
      eventually(`${callSid} is posted to ${path}`, () => {
        const posts = receiver.posts.filter(
          (post) => post.path === path && JSON.parse(String(post.body)).call_id === callSid,
        )
        return posts.length > 0 && posts
      }),
  }
}

/** A CALLBOX_HOME that is removed when the test ends. */
export function temporaryHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'callbox-home-'))
  onTestFinished(() => rmSync(home, { recursive: true, force: true }))
  return home
}
