import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'

/**
 * How long one address of a host has for its TCP handshake before the next address is tried, in milliseconds. Node's
 * default of 250 ms gives up on every receiver that is further away than that, and never returns to it.
 */
export const addressTimeoutMs = 2_000

/**
 * Applies `addressTimeoutMs` to every outbound connection of this process: PostgreSQL, Twilio, OpenAI, proxies, and
 * fetch. The connector of webhooks sets its own. Call it once, before the first connection.
 */
export function allowSlowHandshakes(): void {
  setDefaultAutoSelectFamilyAttemptTimeout(addressTimeoutMs)
}
