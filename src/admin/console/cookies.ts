import { parseCookie } from 'cookie'
import type { CookieOptions, Request, Response } from 'express'
import { sessionSeconds } from './session.ts'

/** Browsers trust the machine that they run on as if it were https. */
const ownMachine = /^(localhost|.+\.localhost|127\..+|\[::1\])$/

/** Sets and reads the console's cookies: for its own origin alone, out of reach of scripts and of other sites. */
export class Cookies {
  readonly #publicUrl: string
  readonly #prefix: string
  readonly #options: CookieOptions

  /** @param publicUrl over https, the cookies are Secure and bound to this host by their name (RFC 6265bis, 4.1.3.2). */
  constructor(publicUrl: string) {
    this.#publicUrl = publicUrl
    const secure = publicUrl.startsWith('https:')
    this.#prefix = secure ? '__Host-callbox_' : 'callbox_'
    this.#options = { httpOnly: true, sameSite: 'strict', secure, path: secure ? '/' : '/console' }
  }

  /** Why the browser of this order will not keep them; `null`: it will. Over http it drops those that are Secure. */
  whyNotKept(request: Request): string | null {
    const origin = request.get('origin')
    if (!this.#options.secure || origin === undefined || !URL.canParse(origin)) return null
    const { protocol, hostname } = new URL(origin)
    if (protocol === 'https:' || ownMachine.test(hostname)) return null
    return `A sign-in holds over https alone. Open the console at ${this.#publicUrl}/console.`
  }

  read(request: Request, name: 'session' | 'flash'): string | undefined {
    return parseCookie(request.get('cookie') ?? '')[`${this.#prefix}${name}`]
  }

  setSession(response: Response, value: string): void {
    response.cookie(`${this.#prefix}session`, value, { ...this.#options, maxAge: sessionSeconds * 1_000 })
  }

  /** It lasts until it has been shown, or the browser is closed. */
  setFlash(response: Response, value: string): void {
    response.cookie(`${this.#prefix}flash`, value, this.#options)
  }

  clear(response: Response, name: 'session' | 'flash'): void {
    response.clearCookie(`${this.#prefix}${name}`, this.#options)
  }
}
