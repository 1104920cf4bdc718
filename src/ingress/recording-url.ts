import { isRecordingHost } from '../calls/recording-hosts.ts'
import type { Config } from '../config.ts'
import type { Callback } from './callback.ts'

/** Twilio's forms of a recording, which differ by the ending of one path (its documentation, "Recording Resource"). */
const ending = /\.(?:json|xml|csv|html|mp3|wav)$/i

/**
 * Where a recording is fetched from. `RecordingUrl` counts if it is at `TWILIO_API_URL`, less its ending and its query,
 * or at a host of `RECORDING_HOSTS`, as it is: that may be signed. Any other is replaced by the recording's place at
 * `TWILIO_API_URL`, since a callback may name another of Twilio's regions. `null` without either.
 */
export function recordingUrlOf(callback: Callback, settings: Config['twilio']): string | null {
  const given = URL.parse(callback.RecordingUrl)
  if (given && given.origin === new URL(settings.apiUrl).origin) {
    return `${given.origin}${given.pathname.replace(/\/+$/, '').replace(ending, '')}`
  }
  if (given && isRecordingHost(settings, given)) return given.href
  const accountSid = callback.AccountSid || settings.accountSid
  if (!accountSid || !callback.RecordingSid.startsWith('RE')) return null
  return `${settings.apiUrl}/2010-04-01/Accounts/${accountSid}/Recordings/${callback.RecordingSid}`
}
