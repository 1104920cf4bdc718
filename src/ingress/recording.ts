import type { Knex } from 'knex'
import type { RecordingSender } from '../calls/recording-queue.ts'
import type { Config } from '../config.ts'
import type { Callback } from './callback.ts'

export type RecordingOutcome = 'queued' | 'failed' | 'kept'

interface RecordingContext {
  settings: Config['twilio']
  queue: RecordingSender
}

/**
 * What a recording callback does to its call. Hold `lockCall`.
 *
 * The first completed recording starts the pipeline; later ones change nothing. A recording that Twilio could not make
 * (`absent`: too short or silent, `failed`) fails the call with that error, so that it does not look as if it were
 * still to come, unless a recording is there; one that completes later takes the call up again. So the end is the same
 * in any order. Other statuses (`in-progress`) say nothing that matters here.
 */
export async function applyRecording(
  trx: Knex.Transaction,
  call: { businessId: string; callSid: string },
  callback: Callback,
  { settings, queue }: RecordingContext,
): Promise<RecordingOutcome> {
  const key = { business_id: call.businessId, call_sid: call.callSid }
  const unrecorded = () => trx('callbox.calls').where(key).whereNull('recorded_at')
  const fail = async (error: string): Promise<RecordingOutcome> => {
    const failure = { state: 'failed', error, failed_at: trx.raw('clock_timestamp()') }
    return (await unrecorded().where({ state: 'open' }).update(failure)) > 0 ? 'failed' : 'kept'
  }

  if (callback.RecordingStatus === 'absent' || callback.RecordingStatus === 'failed') {
    const code = /^[1-9]\d{0,5}$/.test(callback.ErrorCode) ? `, Twilio's error ${callback.ErrorCode}` : ''
    return await fail(`Twilio has no recording of this call: ${callback.RecordingStatus}${code}`)
  }
  // `completed` is also what Twilio reports when nobody says what to report.
  if (callback.RecordingStatus !== 'completed' && callback.RecordingStatus !== '') return 'kept'

  const url = recordingUrlOf(callback, settings)
  if (url === null)
    return await fail('the recording callback names no recording: RecordingUrl or RecordingSid is wrong')
  const queued = await unrecorded()
    .whereIn('state', ['open', 'failed'])
    .update({
      state: 'queued',
      error: null,
      failed_at: null,
      recording_sid: callback.RecordingSid || null,
      recording_url: url,
      recording_started_at: callback.RecordingStartTime,
      recording_duration_sec: callback.RecordingDuration,
      recorded_at: trx.raw('clock_timestamp()'),
    })
  if (queued === 0) return 'kept'
  await queue.send(trx, call)
  return 'queued'
}

/**
 * Where the recording is fetched from, always at `TWILIO_API_URL`, since our credentials go there: `RecordingUrl` where
 * it is there, else built from the SIDs (a callback may name another of Twilio's regions). `null` without either.
 */
function recordingUrlOf(callback: Callback, settings: Config['twilio']): string | null {
  const given = URL.parse(callback.RecordingUrl)
  if (given && given.origin === new URL(settings.apiUrl).origin) return `${given.origin}${given.pathname}`
  const accountSid = callback.AccountSid || settings.accountSid
  if (!accountSid || !callback.RecordingSid.startsWith('RE')) return null
  return `${settings.apiUrl}/2010-04-01/Accounts/${accountSid}/Recordings/${callback.RecordingSid}`
}
