import twilio from 'twilio/lib/webhooks/webhooks.js'
import { parseForm } from './callback.ts'

export interface SignedRequest {
  /** The path and query as they came: what Twilio signs is this after `PUBLIC_URL`, without a fragment. */
  originalUrl: string
  body: string
  /** The header `X-Twilio-Signature`. */
  signature: string | undefined
}

/**
 * `null` when any of the tokens signed the request (several while one rotates), else why it is refused.
 * The `twilio` package knows that Twilio signs some URLs with the standard port and some without.
 */
export function whyForged(authTokens: readonly string[], publicUrl: string, request: SignedRequest): string | null {
  const { originalUrl, body, signature } = request
  if (authTokens.length === 0) return 'TWILIO_AUTH_TOKEN is not set, so no callback can be verified'
  if (!signature) return 'the header X-Twilio-Signature is missing'
  const parameters = parseForm(body)
  const signed = authTokens.some((token) =>
    twilio.validateRequest(token, signature, `${publicUrl}${originalUrl}`, parameters),
  )
  return signed ? null : 'X-Twilio-Signature fits neither PUBLIC_URL with this path and query nor any auth token'
}
