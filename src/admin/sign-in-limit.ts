import type { Request } from 'express'
import ipaddr from 'ipaddr.js'
import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { AdminToken } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type OperatorFor, operatorsOf } from './authentication.ts'
import { Problem } from './problems.ts'
import { parseAddress } from './trusted-proxies.ts'

const maxFailures = 10
const windowSeconds = 60

/**
 * Finds the operator of a token, and stops guessing: after ten wrong tokens within a minute an address is refused, right
 * token or not, until that minute is over. Other addresses are not affected. The admin API and the console's sign-in
 * share one, so guesses at both count together; each API process counts for itself.
 *
 * The address is express's `request.ip`: the peer of the connection, or what the proxies of `TRUSTED_PROXIES` wrote into
 * `X-Forwarded-For`. An IPv6 host has a whole /64, so that is counted as one.
 */
export class SignInLimit {
  readonly #find: OperatorFor
  readonly #log: Logger
  readonly #failures = new RateLimiterMemory({ points: maxFailures, duration: windowSeconds })

  constructor(tokens: readonly AdminToken[], log: Logger) {
    this.#find = operatorsOf(tokens)
    this.#log = log
  }

  /**
   * The name of the token; `null` if it is not one of `ADMIN_TOKEN`, which counts as a failure.
   *
   * @throws {Problem} 429 with `Retry-After` when the address has failed too often.
   */
  async operatorFor(token: string, request: Pick<Request, 'ip' | 'socket' | 'headers'>): Promise<string | null> {
    const address = addressOf(request)
    const before = await this.#failures.get(address)
    if (before !== null && before.consumedPoints >= maxFailures) throw tooMany(before.msBeforeNext)
    const operator = this.#find(token)
    if (operator !== null) return operator
    const { consumedPoints } = await this.#failures.penalty(address)
    if (consumedPoints === maxFailures) {
      const hint = isUnknownProxy(request) ? '; it sends X-Forwarded-For, but TRUSTED_PROXIES does not name it' : ''
      this.#log.warn({ event: 'admin.sign_ins_refused', address }, `too many failed sign-ins from one address${hint}`)
    }
    return null
  }
}

function tooMany(waitMs: number): Problem {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  const detail = `too many failed sign-ins from this address; try again in ${seconds} s`
  return new Problem(429, detail, [], { 'Retry-After': String(seconds) })
}

/** A peer in a private network that sends X-Forwarded-For is probably the operator's proxy. */
function isUnknownProxy({ ip, socket, headers }: Pick<Request, 'ip' | 'socket' | 'headers'>): boolean {
  if (headers['x-forwarded-for'] === undefined || ip !== socket.remoteAddress) return false
  const range = parseAddress(ip)?.range() ?? 'unicast'
  return ['private', 'loopback', 'linkLocal', 'uniqueLocal'].includes(range)
}

function addressOf({ ip, socket }: Pick<Request, 'ip' | 'socket'>): string {
  // What a proxy forwards need not be an address at all.
  const address = parseAddress(ip) ?? parseAddress(socket.remoteAddress)
  if (address === null) return 'unknown'
  if (address.kind() === 'ipv4') return address.toString()
  return ipaddr.fromByteArray(address.toByteArray().fill(0, 8)).toString()
}
