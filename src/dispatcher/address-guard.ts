import type { LookupAddress } from 'node:dns'
import { isIP, isIPv4, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'
import { NameResolver } from './resolve-name.ts'

/** An endpoint whose address deliveries may not go to. */
export class BlockedAddressError extends Error {
  override name = 'BlockedAddressError'
}

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** All of IPv6 that is given out for use (IANA, IPv6 Address Space); the library calls the unassigned unicast too. */
const [globalUnicast, globalUnicastBits] = ipaddr.IPv6.parseCIDR('2000::/3')

/** Azure's WireServer, the one metadata service at a public address: a machine's own host answers there. */
const wireServer = '168.63.129.16'

/**
 * Which addresses deliveries may go to: public unicast, and the networks that the operator allows. `ipaddr.js` decides
 * the ranges; everything that it does not call unicast is refused, so loopback, private, link-local (cloud metadata),
 * CGNAT, multicast, reserved, and IPv6 forms that lead to an IPv4 address (NAT64, 6to4, Teredo). A mapped address is
 * judged as the IPv4 address that it is.
 */
export class AddressGuard {
  readonly #allowed: [Address, number][]
  readonly #names: NameResolver

  /** @param allowedNetworks CIDRs, checked when the settings were read. */
  constructor(allowedNetworks: readonly string[], names = new NameResolver()) {
    this.#names = names
    this.#allowed = allowedNetworks.map((network) => ipaddr.parseCIDR(network))
  }

  /** @param address an IPv4 or IPv6 literal; anything else, one with a zone too, is refused. */
  permits(address: string): boolean {
    if (isIP(address) === 0 || address.includes('%')) return false
    const parsed = ipaddr.process(inGroups(address))
    if (isPublic(parsed)) return true
    return this.#allowed.some(([network, bits]) => network.kind() === parsed.kind() && parsed.match(network, bits))
  }

  /**
   * A connector that resolves a name once, checks every address that it has, and connects to those very addresses:
   * there is no second lookup for a DNS rebinding to answer. Literals are checked as they are; the URL parser has
   * already turned decimal, octal and hex spellings into the usual one.
   *
   * @param timeoutMs for the connection to stand, TLS included.
   */
  connector(timeoutMs: number): buildConnector.connector {
    const connect = buildConnector({
      lookup: this.#lookup,
      timeout: timeoutMs,
      allowH2: false,
      autoSelectFamily: true,
      // Said, so that NODE_TLS_REJECT_UNAUTHORIZED has no say.
      rejectUnauthorized: true,
    })
    return (options, callback) => {
      const literal = options.hostname.replace(/^\[|\]$/g, '')
      if (isIP(literal) !== 0 && !this.permits(literal)) return callback(blocked(literal), null)
      connect(options, callback)
    }
  }

  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    const use = (addresses: LookupAddress[]): void => {
      const refused = addresses.find(({ address }) => !this.permits(address))
      const [first] = addresses
      if (refused) callback(blocked(refused.address), [])
      else if (options.all) callback(null, addresses)
      else callback(null, first?.address ?? '', first?.family)
    }
    this.#names.resolve(hostname).then(use, (error: Error) => callback(error, []))
  }
}

/** The library takes `::1.2.3.4`, as resolvers write `::102:304`, for the mapped `::ffff:1.2.3.4`. */
function inGroups(address: string): string {
  return isIPv4(address) ? address : new URL(`http://[${address}]`).hostname.slice(1, -1)
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  if (address instanceof ipaddr.IPv6) return address.match(globalUnicast, globalUnicastBits)
  return address.toString() !== wireServer
}

function blocked(address: string): BlockedAddressError {
  return new BlockedAddressError(
    `${address} is not a public address; WEBHOOK_ALLOWED_NETWORKS names the private networks that endpoints may be in`,
  )
}
