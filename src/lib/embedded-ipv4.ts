import ipaddr from 'ipaddr.js'

/** A prefix in which a NAT64 translator embeds IPv4 addresses (RFC 6052, section 2.2). */
export interface Nat64Prefix {
  prefix: ipaddr.IPv6
  bits: number
}

export const nat64PrefixBits: readonly number[] = [32, 40, 48, 56, 64, 96]

/** @throws Error for text that is not the CIDR of an IPv6 network. */
export function parseNat64Prefix(text: string): Nat64Prefix {
  const [prefix, bits] = ipaddr.IPv6.parseCIDR(text)
  return { prefix, bits }
}

/** The well-known prefix, which any network may translate (RFC 6052, section 2.1). */
const wellKnownNat64 = parseNat64Prefix('64:ff9b::/96')
/** Reserved for translators of a local network; only its operator knows the layout (RFC 8215). */
const localNat64 = ipaddr.IPv6.parseCIDR('64:ff9b:1::/48')
const sixToFour = ipaddr.IPv6.parseCIDR('2002::/16')
const teredo = ipaddr.IPv6.parseCIDR('2001::/32')
/** IPv4-compatible (RFC 4291, section 2.5.5.1) and IPv4-translated (RFC 2765); the mapped ones are IPv4 to the library. */
const lastFourBytes = [ipaddr.IPv6.parseCIDR('::/96'), ipaddr.IPv6.parseCIDR('::ffff:0:0:0/96')]

/** The IPv4 addresses that a NAT64 translator sends packets for this address to, one for each prefix that it is below. */
export function translatedIPv4s(address: ipaddr.IPv6, ownPrefixes: readonly Nat64Prefix[]): ipaddr.IPv4[] {
  return [wellKnownNat64, ...ownPrefixes]
    .filter(({ prefix, bits }) => address.match(prefix, bits))
    .map(({ bits }) => translated(address, bits))
}

/** Whether it is in RFC 8215's prefix. Its IPv4 address is unknown unless the operator names a prefix. */
export const isLocalNat64 = (address: ipaddr.IPv6): boolean => address.match(localNat64)

/** The IPv4 addresses to which packets for this address may be tunnelled: 6to4, Teredo, ISATAP and older forms. */
export function tunnelledIPv4s(address: ipaddr.IPv6): ipaddr.IPv4[] {
  const bytes = address.toByteArray()
  if (address.match(sixToFour)) return [ipv4At(bytes, 2)]
  const inverted = bytes.map((byte) => byte ^ 0xff)
  if (address.match(teredo)) return [ipv4At(bytes, 4), ipv4At(inverted, 12)]
  const isWhole = address.toString() === '::' || address.toString() === '::1'
  const isCompatible = !isWhole && lastFourBytes.some((network) => address.match(network))
  return isCompatible || isIsatap(bytes) ? [ipv4At(bytes, 12)] : []
}

/** RFC 5214, section 6.1: an interface identifier of 0000:5efe or 0200:5efe, then the IPv4 address. */
function isIsatap(bytes: readonly number[]): boolean {
  const [universal = -1, ...rest] = bytes.slice(8, 12)
  return (universal === 0 || universal === 2) && rest.join() === '0,94,254'
}

/** The four bytes follow the prefix and skip byte 8, which is zero (RFC 6052, section 2.2). */
function translated(address: ipaddr.IPv6, bits: number): ipaddr.IPv4 {
  const bytes = address.toByteArray()
  if (bits < 96) bytes.splice(8, 1)
  return ipv4At(bytes, bits / 8)
}

const ipv4At = (bytes: readonly number[], start: number): ipaddr.IPv4 => new ipaddr.IPv4(bytes.slice(start, start + 4))
