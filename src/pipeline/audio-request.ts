import type { Writable } from 'node:stream'
import { Agent, type Dispatcher, stream } from 'undici'
import { isRecordingHost } from '../calls/recording-hosts.ts'
import { twilioAuthorization } from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'
import { done, type Outcome, setBack } from './outcome.ts'
import { NoSink } from './part-sink.ts'

const maxRedirects = 3
/** How long a transfer may receive nothing, in milliseconds. Its total duration is not limited here. */
const silenceMs = 30_000

const agent = new Agent({ connect: { timeout: 10_000 }, headersTimeout: silenceMs, bodyTimeout: silenceMs })

/** Twilio's forms of a recording, which differ by the ending of one path (its documentation, "Recording Resource"). */
const ending = /\.(?:json|xml|csv|html|mp3|wav)$/i

/** Where a recording's mp3 is: Twilio's by its path, that of another host by its address as it is. */
export function mp3Url(settings: Config['twilio'], recordingUrl: string): URL | null {
  const url = URL.parse(recordingUrl)
  if (url === null) return null
  url.username = ''
  url.password = ''
  if (url.origin === new URL(settings.apiUrl).origin) url.pathname = `${url.pathname.replace(ending, '')}.mp3`
  return url
}

export interface AudioAnswer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  /** The host that answered, after redirects. */
  host: string
  /** Whether that is `TWILIO_API_URL`, asked with the account's credentials. */
  isTwilio: boolean
}

/**
 * Asks for a recording, and follows redirects. The account's credentials go to the origin of `TWILIO_API_URL` alone, and
 * not after a redirect away from it. Other hosts are asked only if `RECORDING_HOSTS` names them, and never over http
 * once a step was https.
 *
 * @param receive gets the answer's head and must choose synchronously where the body goes, or its first bytes are lost.
 * @returns when the body has come to its end. @throws Error when it did not.
 */
export async function requestAudio(
  settings: Config['twilio'],
  first: URL,
  headers: Record<string, string>,
  receive: (answer: AudioAnswer) => Writable,
  signal: AbortSignal,
): Promise<Outcome<null>> {
  const authorization = twilioAuthorization(settings)
  if (authorization === null) return refused('TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set: set both')
  const { origin } = new URL(settings.apiUrl)
  let url = first
  let hasLeft = false
  let isSecure = false
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const { host } = url
    if (isSecure && url.protocol !== 'https:') {
      return refused(`the recording is redirected from https to ${url.protocol}//${host}: have it served over https`)
    }
    if (url.origin !== origin && !isRecordingHost(settings, url)) return refused(whyNotAsked(settings, url))
    isSecure = url.protocol === 'https:'
    hasLeft ||= url.origin !== origin
    const sent = hasLeft ? headers : { ...headers, authorization }
    let next: string | null = null
    await stream(url, { method: 'GET', dispatcher: agent, headers: sent, signal }, (answer) => {
      const { statusCode: status, headers: answered } = answer
      const location = answered['location']
      if (status < 300 || status > 399 || typeof location !== 'string') {
        return receive({ status, headers: answered, host, isTwilio: !hasLeft })
      }
      next = location
      return new NoSink()
    })
    if (next === null) return done(null)
    const parsed = URL.parse(next, url.href)
    if (parsed === null)
      return setBack({ kind: 'outage', error: `the recording is redirected by ${host} to no address` })
    url = parsed
  }
  return setBack({ kind: 'outage', error: `the recording is redirected more than ${maxRedirects} times` })
}

/** A setting is wrong or missing: the call waits until it is corrected. */
export const refused = (error: string): Outcome<never> => setBack({ kind: 'refused', step: 'audio', error })

function whyNotAsked(settings: Config['twilio'], url: URL): string {
  const { protocol, host } = url
  if (protocol !== 'http:' && protocol !== 'https:') {
    return `the recording is redirected to an address with ${protocol}: have it served over https`
  }
  if (isRecordingHost(settings, new URL(`https://${host}`))) {
    return `the recording is at ${protocol}//${host}: have it served over https`
  }
  return `the recording is at ${host}, which is not TWILIO_API_URL's host: add it to RECORDING_HOSTS if it is yours`
}
