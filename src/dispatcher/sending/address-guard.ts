import type { LookupAddress } from 'node:dns'
import { isIP, isIPv4, isIPv6, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { buildConnector } from 'undici'
import {
  isLocalNat64,
  type Nat64Prefix,
  parseNat64Prefix,
  translatedIPv4s,
  tunnelledIPv4s,
} from '../../lib/embedded-ipv4.ts'
import { addressTimeoutMs } from '../../lib/outbound-connections.ts'
import { watchConnection } from './kept-connections.ts'
import { NameResolver } from './resolve-name.ts'
import { withServerName } from './server-name.ts'

/** The endpoint's address is not allowed. */
export class BlockedAddressError extends Error {
  override name = 'BlockedAddressError'
}

type Address = ipaddr.IPv4 | ipaddr.IPv6

const notPublic =
  'is not a public address; WEBHOOK_ALLOWED_NETWORKS names the private networks that endpoints may be in'

/** The allocated part of IPv6 (IANA, IPv6 Address Space); the library also calls unassigned addresses unicast. */
const [globalUnicast, globalUnicastBits] = ipaddr.IPv6.parseCIDR('2000::/3')

/** Azure's WireServer, the one metadata service at a public address: a machine's own host answers there. */
const wireServer = '168.63.129.16'

interface AddressRules {
  /** CIDRs, checked when the settings were read. */
  allowedNetworks: readonly string[]
  /** CIDRs of NAT64 translators other than the well-known one, checked likewise. */
  nat64Prefixes?: readonly string[]
}

/**
 * Decides which addresses deliveries may go to: public unicast, and the networks that the operator allows. `ipaddr.js`
 * knows the ranges; everything that it does not call unicast is refused, such as loopback, private, link-local (cloud
 * metadata), CGNAT, multicast and reserved addresses.
 *
 * An IPv6 address that leads to an IPv4 address is judged by the IPv4 address, whichever IPv6 networks are allowed. For a
 * NAT64 address only the IPv4 address counts; for a tunnel's (6to4, Teredo, ISATAP) both must be allowed.
 */
export class AddressGuard {
  readonly #allowed: [Address, number][]
  readonly #nat64Prefixes: Nat64Prefix[]
  readonly #names: NameResolver

  constructor({ allowedNetworks, nat64Prefixes = [] }: AddressRules, names = new NameResolver()) {
    this.#names = names
    this.#allowed = allowedNetworks.map(parseNetwork)
    this.#nat64Prefixes = nat64Prefixes.map(parseNat64Prefix)
  }

  /** @param address an IPv4 or IPv6 literal; anything else, one with a zone too, is refused. */
  permits(address: string): boolean {
    if (isIP(address) === 0 || address.includes('%')) return false
    const parsed = ipaddr.process(inGroups(address))
    if (parsed instanceof ipaddr.IPv4) return this.#permitsItself(parsed)
    const translated = translatedIPv4s(parsed, this.#nat64Prefixes)
    if (translated.length > 0) return translated.every((each) => this.#permitsItself(each))
    if (isLocalNat64(parsed)) return false
    return [parsed, ...tunnelledIPv4s(parsed)].every((each) => this.#permitsItself(each))
  }

  #permitsItself(address: Address): boolean {
    if (isPublic(address)) return true
    return this.#allowed.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
  }

  /** Whether the addresses of this name are being looked up. */
  isResolving(name: string): boolean {
    return this.#names.isResolving(name)
  }

  close(): void {
    this.#names.close()
  }

  /**
   * A connector that resolves a name once and connects to those of its addresses that are permitted: there is no second
   * lookup for a DNS rebinding to answer. Literals are checked as they are; the URL parser has already turned decimal,
   * octal and hex spellings into the usual one.
   *
   * @param timeoutMs for the whole connection, TLS included. Each address gets at most half of it, the next one the rest.
   */
  connector(timeoutMs: number): buildConnector.connector {
    this.#names.prepare()
    const connect = buildConnector({
      lookup: this.#lookup,
      timeout: timeoutMs,
      allowH2: false,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: Math.min(addressTimeoutMs, Math.ceil(timeoutMs / 2)),
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED cannot turn it off.
      rejectUnauthorized: true,
    })
    return (options, callback) => {
      const literal = options.hostname.replace(/^\[|\]$/g, '')
      if (isIP(literal) !== 0 && !this.permits(literal)) return callback(this.#blocked(literal), null)
      connect(withServerName(options), (...[error, socket]) => {
        if (error) return callback(error, null)
        watchConnection(socket)
        callback(null, socket)
      })
    }
  }

  #blocked(address: string): BlockedAddressError {
    const parsed = isIPv6(address) && !address.includes('%') ? ipaddr.process(inGroups(address)) : null
    const inner = parsed instanceof ipaddr.IPv6 ? translatedIPv4s(parsed, this.#nat64Prefixes) : []
    const refused = inner.find((each) => !this.#permitsItself(each))
    if (refused) return new BlockedAddressError(`${address} leads to ${refused}, which ${notPublic}`)
    if (parsed instanceof ipaddr.IPv6 && isLocalNat64(parsed)) {
      return new BlockedAddressError(
        `${address} is not a public address; WEBHOOK_NAT64_PREFIXES says which IPv4 address a translator makes of it`,
      )
    }
    return new BlockedAddressError(`${address} ${notPublic}`)
  }

  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    const use = (addresses: LookupAddress[]): void => {
      const permitted = addresses.filter(({ address }) => this.permits(address))
      const [first] = permitted
      if (first === undefined) callback(this.#blocked(addresses[0]?.address ?? hostname), [])
      else if (options.all) callback(null, permitted)
      else callback(null, first.address, first.family)
    }
    this.#names.resolve(hostname).then(use, (error: Error) => callback(error, []))
  }
}

/** A network of mapped addresses is the IPv4 network, as each of its addresses is an IPv4 address here. */
function parseNetwork(text: string): [Address, number] {
  const [address, bits] = ipaddr.parseCIDR(text)
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96
  return isMapped ? [address.toIPv4Address(), bits - 96] : [address, bits]
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
