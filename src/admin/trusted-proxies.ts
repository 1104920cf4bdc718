import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** `192.0.2.1:443` and `[2001:db8::1]:443`: some proxies forward the port too. */
const withPort = /^(?:([\d.]+)|\[([^\]]+)\]):\d+$/

/** An IPv4 address that is mapped into IPv6 becomes IPv4; `null` if the text is no address. */
export function parseAddress(text = ''): Address | null {
  const bare = text.trim().replace(withPort, '$1$2')
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : null
}

/**
 * The function for express's setting `trust proxy`: whether the `X-Forwarded-For` of an address is believed.
 *
 * @param networks addresses and CIDRs, as `TRUSTED_PROXIES` has them.
 */
export function trustedProxies(networks: readonly string[]): (address?: string) => boolean {
  const ranges = networks.map(rangeOf)
  return (text) => {
    const address = parseAddress(text)
    return (
      address !== null && ranges.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits))
    )
  }
}

function rangeOf(network: string): [base: Address, bits: number] {
  const [text = '', bits] = network.split('/')
  const base = ipaddr.parse(text)
  const length = bits === undefined ? base.toByteArray().length * 8 : Number(bits)
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
  if (base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && length >= 96)
    return [base.toIPv4Address(), length - 96]
  return [base, length]
}
