import type { Request } from 'express'
import ipaddr from 'ipaddr.js'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { AdminToken } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type OperatorFor, operatorsOf } from './authentication.ts'
import { Problem } from './problems.ts'

const mostFailures = 10
const windowSeconds = 60

/**
 * Tells whose a token is, and lets nobody guess: after ten wrong ones within a minute an address is refused, whatever it
 * sends, until that minute is over. Other addresses do not notice. The admin API and the console's sign-in share one, so
 * the guesses at both count together; each API process counts for itself.
 *
 * The address is express's `request.ip`: by `trustedProxies`, what the last proxy of a private network wrote into
 * `X-Forwarded-For`, else the one that the connection came from. An IPv6 host has a whole /64, so that is counted as one.
 */
export class SignInLimit {
  readonly #find: OperatorFor
  readonly #log: Logger
  readonly #failures = new RateLimiterMemory({ points: mostFailures, duration: windowSeconds })

  constructor(tokens: readonly AdminToken[], log: Logger) {
    this.#find = operatorsOf(tokens)
    this.#log = log
  }

  /**
   * The name of the token; `null`: it is not one of `ADMIN_TOKEN`, which has been counted.
   *
   * @throws {Problem} 429 with `Retry-After` when the address has failed too often.
   */
  async operatorFor(token: string, request: Pick<Request, 'ip' | 'socket'>): Promise<string | null> {
    const address = addressOf(request)
    const before = await this.#failures.get(address)
    if (before !== null && before.consumedPoints >= mostFailures) throw tooMany(before.msBeforeNext)
    const operator = this.#find(token)
    if (operator !== null) return operator
    const { consumedPoints } = await this.#failures.penalty(address)
    if (consumedPoints === mostFailures) {
      this.#log.warn({ event: 'admin.sign_ins_refused', address }, 'too many failed sign-ins from one address')
    }
    return null
  }
}

function tooMany(waitMs: number): Problem {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  const detail = `too many failed sign-ins from this address; try again in ${seconds} s`
  return new Problem(429, detail, [], { 'Retry-After': String(seconds) })
}

/** Some proxies forward the port too; of an address that is not read, all behind them would share one count. */
const withPort = /^(?:([\d.]+)|\[([^\]]+)\]):\d+$/

function addressOf({ ip, socket }: Pick<Request, 'ip' | 'socket'>): string {
  const forwarded = ip?.replace(withPort, '$1$2')
  // What a proxy forwards need not be an address at all.
  const text = forwarded !== undefined && ipaddr.isValid(forwarded) ? forwarded : (socket.remoteAddress ?? '')
  if (!ipaddr.isValid(text)) return 'unknown'
  const address = ipaddr.process(text)
  if (address.kind() === 'ipv4') return address.toString()
  return ipaddr.fromByteArray(address.toByteArray().fill(0, 8)).toString()
}
