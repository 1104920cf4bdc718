import { parseCookie } from 'cookie'
import type { CookieOptions, Request, Response } from 'express'
import { sessionSeconds } from './session.ts'

/** Sets and reads the console's cookies: for its own origin alone, out of reach of scripts and of other sites. */
export class Cookies {
  readonly #prefix: string
  readonly #options: CookieOptions

  /** @param publicUrl over https, the cookies are Secure and bound to this host by their name (RFC 6265bis, 4.1.3.2). */
  constructor(publicUrl: string) {
    const secure = publicUrl.startsWith('https:')
    this.#prefix = secure ? '__Host-callbox_' : 'callbox_'
    this.#options = { httpOnly: true, sameSite: 'strict', secure, path: secure ? '/' : '/console' }
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
