import type { Config } from '../config.ts'

/**
 * Whether `RECORDING_HOSTS` names the URL's host: by its name alone, which means any port of it, or with its port. Only
 * https is good enough, unless `TWILIO_API_URL` is http itself, as it is in a test.
 */
export function isRecordingHost(settings: Pick<Config['twilio'], 'recordingHosts' | 'apiUrl'>, url: URL): boolean {
  const isSecure = url.protocol === 'https:' || (url.protocol === 'http:' && settings.apiUrl.startsWith('http:'))
  if (!isSecure) return false
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return settings.recordingHosts.some((named) => named === url.hostname || named === `${url.hostname}:${port}`)
}
