import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

const prefix = 'whsec_'

/** The key of a `whsec_…` secret (Standard Webhooks, "Signature scheme": base64 after the prefix). */
export function signingKey(secret: string): KeyObject {
  return createSecretKey(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret, 'base64')
}

/**
 * The `webhook-signature` of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for
 * each key, separated by spaces while a secret rotates.
 *
 * @param timestamp seconds since the epoch.
 */
export function sign(keys: readonly KeyObject[], id: string, timestamp: number, body: Buffer): string {
  let signatures = ''
  for (const key of keys) {
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
    signatures += signatures === '' ? `v1,${mac}` : ` v1,${mac}`
  }
  return signatures
}

/** The keys of a business: the newest signs always, a former one as long as it has time left. */
export class SigningKeys {
  readonly #newest: readonly KeyObject[]
  #all: readonly KeyObject[]
  readonly #formerUntilMs: number

  /** @param former `null`: none. @param formerUntilMs when its time is over, in monotonic milliseconds. */
  constructor(newest: KeyObject, former: KeyObject | null, formerUntilMs: number) {
    this.#newest = [newest]
    this.#all = former === null ? this.#newest : [newest, former]
    this.#formerUntilMs = formerUntilMs
  }

  /** Newest first. @param nowMs monotonic milliseconds. */
  at(nowMs: number): readonly KeyObject[] {
    if (this.#all.length > 1 && nowMs >= this.#formerUntilMs) this.#all = this.#newest
    return this.#all
  }
}
