import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import type { AdminToken } from '../../config.ts'
import type { Sealer } from '../../database/sealing.ts'

/** How long a sign-in holds, in seconds. */
export const sessionSeconds = 12 * 3_600
const flashSeconds = 60

export interface Session {
  id: string
  /** The name of the token that was signed in with. */
  operator: string
  /** What each form of this session carries. */
  csrf: string
  /** Milliseconds since the epoch. */
  endsAt: number
}

/** A message for the next page. */
export interface Flash {
  kind: 'done' | 'failed'
  text: string
}

/**
 * Sessions without a table: all of one is in its cookie, signed with a key made of `SECRETS_KEY`, so it holds for every
 * API process and across restarts. It names its token by a keyed digest, and ends when that token leaves `ADMIN_TOKEN`,
 * when `SECRETS_KEY` changes, or after 12 h.
 */
export class Sessions {
  readonly #key: Buffer
  readonly #operators: readonly { name: string; print: string }[]

  constructor(sealer: Sealer, tokens: readonly AdminToken[]) {
    this.#key = sealer.deriveKey('callbox console session')
    this.#operators = tokens.map(({ name, token }) => ({ name, print: this.#digest('token', token) }))
  }

  /** What goes into the cookie. @param token one of `ADMIN_TOKEN`. */
  async begin(token: string): Promise<string> {
    return new SignJWT({ token: this.#digest('token', token) })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience('session')
      .setJti(randomUUID())
      .setExpirationTime(`${sessionSeconds}s`)
      .sign(this.#key)
  }

  /** `null`: it is not ours, is over, or its token is gone. */
  async read(cookie: string | undefined): Promise<Session | null> {
    const claims = await this.#open(cookie, 'session')
    if (claims?.jti === undefined || claims.exp === undefined) return null
    const operator = this.#operators.find(({ print }) => print === claims['token'])
    if (operator === undefined) return null
    const { jti: id, exp } = claims
    return { id, operator: operator.name, csrf: this.#digest('csrf', id), endsAt: exp * 1_000 }
  }

  isCsrf(session: Session, given: unknown): boolean {
    if (typeof given !== 'string') return false
    const [expected, actual] = [Buffer.from(session.csrf), Buffer.from(given)]
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  }

  /** What goes into the cookie of a message; for this session alone. */
  async sealFlash(session: Session, { kind, text }: Flash): Promise<string> {
    return new SignJWT({ kind, text })
      .setProtectedHeader({ alg: 'HS256' })
      .setAudience(`flash ${session.id}`)
      .setExpirationTime(`${flashSeconds}s`)
      .sign(this.#key)
  }

  async readFlash(session: Session, cookie: string | undefined): Promise<Flash | null> {
    const claims = await this.#open(cookie, `flash ${session.id}`)
    if (claims === null) return null
    return { kind: claims['kind'] === 'failed' ? 'failed' : 'done', text: String(claims['text']) }
  }

  async #open(cookie: string | undefined, audience: string) {
    if (cookie === undefined) return null
    const opened = await jwtVerify(cookie, this.#key, { audience, algorithms: ['HS256'] }).catch(() => null)
    return opened?.payload ?? null
  }

  #digest(purpose: string, text: string): string {
    return createHmac('sha256', this.#key).update(`${purpose} ${text}`).digest('base64url')
  }
}
