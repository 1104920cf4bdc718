import { z } from 'zod'
import type { ZodOpenApiPathItemObject, ZodOpenApiPathsObject } from 'zod-openapi'
import type { Callback, CallbackKind } from '../../ingress/callback.ts'
import { businessId } from '../schemas/common.ts'
import { exampleOf } from '../schemas/examples.ts'
import { comeAgain, problem } from './answers.ts'

/** Any parameter may be missing and more may come: all is stored, and these are read. */
type Read = Partial<Record<keyof Callback, z.ZodType>>

const text = (description: string, example: string) =>
  z
    .string()
    .optional()
    .meta({ description, examples: [example] })

const any = {
  AccountSid: text('the account', `AC${'0'.repeat(32)}`),
  CallSid: text('the call', exampleOf.callSid),
} satisfies Read

const ofStatus = z.looseObject({
  ...any,
  ParentCallSid: text('the call that this one is a leg of', `CA${'0'.repeat(32)}`),
  Direction: text('`inbound`, `outbound-api`, …', 'inbound'),
  From: text('the calling party', exampleOf.phoneNumber),
  To: text('the called party', '+97237654321'),
  CallStatus: text('`ringing`, `in-progress`, `completed`, …', 'completed'),
  Timestamp: text('when it came to be so, RFC 2822', 'Wed, 10 Dec 2025 14:23:45 +0000'),
  CallDuration: text('seconds', '26'),
} satisfies Read)

const ofRecording = z.looseObject({
  ...any,
  ConferenceSid: text(
    'the conference, for a recording that names no `CallSid`: Twilio is asked for its call',
    `CF${'0'.repeat(32)}`,
  ),
  RecordingSid: text('the recording', `RE${'0'.repeat(32)}`),
  RecordingUrl: text(
    'where it is fetched from; it must be at `TWILIO_API_URL`',
    `https://api.twilio.com/2010-04-01/Accounts/AC${'0'.repeat(32)}/Recordings/RE${'0'.repeat(32)}`,
  ),
  RecordingStatus: text('`completed`, `absent`, `failed` or `in-progress`', 'completed'),
  RecordingStartTime: text('RFC 2822', 'Wed, 10 Dec 2025 14:23:20 +0000'),
  RecordingDuration: text('seconds', '24'),
  ErrorCode: text("Twilio's code of what went wrong", '0'),
} satisfies Read)

const query = z.object({
  business_id: businessId
    .optional()
    .describe(
      'names the business of the call; if there is no such business, the callback stays unmatched. Without it the numbers of the call and its legs decide',
    ),
})

function callbackOperation(kind: CallbackKind, summary: string, form: z.ZodType): ZodOpenApiPathItemObject {
  return {
    post: {
      operationId: kind === 'call_status' ? 'takeCallStatus' : 'takeRecordingStatus',
      tags: ['Twilio'],
      summary,
      description:
        'Stored as it came (on disk while the database is away), then answered, then matched. Any order and repetition ends in the same state.',
      security: [{ twilioSignature: [] }],
      requestParams: { query },
      requestBody: { required: true, content: { 'application/x-www-form-urlencoded': { schema: form } } },
      responses: {
        204: { description: 'Stored, or kept on disk until the database is back.' },
        400: problem('The body cannot be read, or is not valid UTF-8.'),
        403: problem('The signature fits neither `PUBLIC_URL` with this path and query nor any auth token.'),
        413: problem('The body is over 64 KB.'),
        503: comeAgain,
      },
    },
  }
}

export const twilioOperations: ZodOpenApiPathsObject = {
  '/webhook/call_status': callbackOperation('call_status', 'Take a status callback of a call', ofStatus),
  '/webhook/recording_status': callbackOperation('recording_status', 'Take a recording status callback', ofRecording),
}
