import type { Knex } from 'knex'
import type { RecordingSender } from '../calls/recording-queue.ts'
import { hasUsableRecording, storeRecording } from '../calls/recordings.ts'
import type { Config } from '../config.ts'
import type { Callback } from './callback.ts'
import { recordingUrlOf } from './recording-url.ts'

/**
 * `queued`: the pipeline takes the call; `added`: it has it already and takes this recording too; `late`: the call is
 * completed, and the recording waits for a reprocess; `failed`: the call has no recording; `kept`: nothing changed.
 */
export type RecordingOutcome = 'queued' | 'added' | 'late' | 'failed' | 'kept'

interface RecordingContext {
  settings: Config['twilio']
  queue: RecordingSender
}

/**
 * What a recording callback does to its call. Hold `lockCall`.
 *
 * Each recording is stored once. A usable one starts the pipeline, also for a call that failed before, and joins a call
 * that is in the pipeline. A recording that Twilio could not make (`absent`: too short or silent, `failed`) fails the
 * call if no other is there, so that it does not look as if it were still to come. The result is the same in any order.
 * Other statuses (`in-progress`) are ignored.
 */
export async function applyRecording(
  trx: Knex.Transaction,
  call: { businessId: string; callSid: string },
  callback: Callback,
  { settings, queue }: RecordingContext,
): Promise<RecordingOutcome> {
  const error = whyUnusable(callback)
  // Twilio also reports `completed` when the statuses to report are not configured.
  if (error === null && callback.RecordingStatus !== 'completed' && callback.RecordingStatus !== '') return 'kept'

  const url = error === null ? recordingUrlOf(callback, settings) : null
  const isNew = await storeRecording(trx, call, {
    recordingSid: callback.RecordingSid || sidOfUrl(url),
    url,
    error: url === null ? (error ?? namesNothing) : null,
    source: callback.RecordingSource,
    channels: callback.RecordingChannels,
    startedAt: callback.RecordingStartTime,
    durationSec: callback.RecordingDuration,
  })
  return url === null
    ? await failOpenCall(trx, call, error ?? namesNothing)
    : isNew
      ? await addTo(trx, call, queue)
      : 'kept'
}

const namesNothing = 'the recording callback names no recording: RecordingUrl or RecordingSid is wrong'

function whyUnusable({ RecordingStatus: status, ErrorCode: code }: Callback): string | null {
  if (status !== 'absent' && status !== 'failed') return null
  const twilioError = /^[1-9]\d{0,5}$/.test(code) ? `, Twilio's error ${code}` : ''
  return `Twilio has no recording of this call: ${status}${twilioError}`
}

/** A recording without a SID is identified by its address. */
const sidOfUrl = (url: string | null): string => url?.match(/\/(RE\w+)(?=$|[./?])/)?.[1] ?? url ?? ''

async function failOpenCall(
  trx: Knex.Transaction,
  call: { businessId: string; callSid: string },
  error: string,
): Promise<RecordingOutcome> {
  if (await hasUsableRecording(trx, call)) return 'kept'
  const failed = await trx('callbox.calls')
    .where({ business_id: call.businessId, call_sid: call.callSid, state: 'open' })
    .update({ state: 'failed', error, failed_at: trx.raw('clock_timestamp()') })
  return failed > 0 ? 'failed' : 'kept'
}

async function addTo(
  trx: Knex.Transaction,
  call: { businessId: string; callSid: string },
  queue: RecordingSender,
): Promise<RecordingOutcome> {
  const row = () => trx('callbox.calls').where({ business_id: call.businessId, call_sid: call.callSid })
  const [known] = await row()
    .update({ revision: trx.raw('revision + 1') })
    .returning<{ state: string }[]>('state')
  if (known?.state === 'completed') return 'late'
  if (known?.state !== 'open' && known?.state !== 'failed') return 'added'
  await row().update({ state: 'queued', error: null, failed_at: null })
  await queue.send(trx, call)
  return 'queued'
}
