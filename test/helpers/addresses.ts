import fc from 'fast-check'

/** What no delivery may reach, as IANA's special-purpose registries have it, and not as the library that is tested. */
export const forbiddenV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '255.255.255.255/32',
]

/** Anycast services of the Internet's own plumbing, not public hosts: either answer would do. */
export const plumbingV4 = ['192.31.196.0/24', '192.52.193.0/24', '192.175.48.0/24']

export const forbiddenV6 = [
  '::/128',
  '::1/128',
  '::/96',
  '::ffff:0:0:0/96',
  '64:ff9b:1::/48',
  '100::/64',
  '100:0:0:1::/64',
  '2001::/32',
  '2001:2::/48',
  '2001:10::/28',
  '2001:20::/28',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '4000::/3',
  '5f00::/16',
  '8000::/3',
  'c000::/3',
  'e000::/4',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

/** Of IANA's 2001::/23 some is special and some is not; the others are plumbing as above. */
export const plumbingV6 = ['2001::/23', '2620:4f:8000::/48']

/** Groups of 16 bits, first to last, of a text with at most one `::` and no dotted part. */
export function groupsOf(text: string): number[] {
  const [before = '', after] = text.split('::')
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const head = read(before)
  const tail = after === undefined ? [] : read(after)
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

export const v6Text = (groups: readonly number[]): string => groups.map((group) => group.toString(16)).join(':')

const octetsOf = (text: string): number[] => text.split('.').map(Number)

function inNetwork(network: string, octetBits: number, parse: (text: string) => number[]): fc.Arbitrary<number[]> {
  const [base = '', bits = ''] = network.split('/')
  const parts = parse(base)
  const limit = 2 ** octetBits - 1
  return fc.tuple(...parts.map(() => fc.integer({ min: 0, max: limit }))).map((random) =>
    parts.map((part, n) => {
      const fixed = Math.max(0, Math.min(octetBits, Number(bits) - n * octetBits))
      const free = 2 ** (octetBits - fixed)
      return part - (part % free) + ((random[n] ?? 0) % free)
    }),
  )
}

/** Four octets. */
export const v4In = (network: string): fc.Arbitrary<number[]> => inNetwork(network, 8, octetsOf)
/** Eight groups. */
export const v6In = (network: string): fc.Arbitrary<number[]> => inNetwork(network, 16, groupsOf)

function contains(network: string, parts: readonly number[], octetBits: number, parse: (text: string) => number[]) {
  const [base = '', bits = ''] = network.split('/')
  return parse(base).every((part, n) => {
    const fixed = Math.max(0, Math.min(octetBits, Number(bits) - n * octetBits))
    const free = 2 ** (octetBits - fixed)
    return Math.floor(part / free) === Math.floor((parts[n] ?? 0) / free)
  })
}

export const isInV4 = (network: string, octets: readonly number[]): boolean => contains(network, octets, 8, octetsOf)
export const isInV6 = (network: string, groups: readonly number[]): boolean => contains(network, groups, 16, groupsOf)

const radixes = [
  (value: number) => String(value),
  (value: number) => `0${value.toString(8)}`,
  (value: number) => `000${value.toString(8)}`,
  (value: number) => `0x${value.toString(16)}`,
  (value: number) => `0X${value.toString(16).toUpperCase()}`,
  (value: number) => `0x00${value.toString(16)}`,
]

const disguises: ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text}.`,
  // Full-width, circled and mathematical digits, and the dots of East Asian writing, are mapped by IDNA.
  (text) => text.replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
  (text) => text.replace(/\d/g, (digit) => String.fromCodePoint(0x1d7ce + Number(digit))),
  (text) => text.replaceAll('.', '。'),
  (text) => text.replaceAll('.', '．'),
  (text) => text.replaceAll('.', '｡'),
  (text) => text.replaceAll('.', '%2e'),
  (text) => text.replace(/./g, (char) => `%${char.charCodeAt(0).toString(16)}`),
  (text) => text.split('').join('\u00ad'),
  (text) => text.split('').join('\t'),
  (text) => text.split('').join('\n'),
]

/** Spellings of an IPv4 address as a URL's host: one to four parts, three radixes, disguised digits and dots. */
export function v4Spelling(octets: readonly number[]): fc.Arbitrary<string> {
  const value = octets.reduce((sum, octet) => sum * 256 + octet, 0)
  return fc
    .record({
      parts: fc.integer({ min: 1, max: 4 }),
      radix: fc.tuple(...octets.map(() => fc.constantFrom(...radixes))),
      disguise: fc.constantFrom(...disguises),
    })
    .map(({ parts, radix, disguise }) => {
      const last = value % 256 ** (5 - parts)
      const numbers = [...octets.slice(0, parts - 1), last]
      return disguise(numbers.map((number, n) => (radix[n] ?? String)(number)).join('.'))
    })
}

/** IPv6 addresses that carry, or lead to, an IPv4 address, as URL hosts. */
export function v4Within(octets: readonly number[]): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = octets
  const [high, low] = [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
  const [notHigh, notLow] = [(65_535 - (a * 256 + b)).toString(16), (65_535 - (c * 256 + d)).toString(16)]
  const dotted = octets.join('.')
  return [
    `::ffff:${dotted}`,
    `::FFFF:${high}:${low}`,
    `0:0:0:0:0:ffff:${high}:${low}`,
    `0000:0000:0000:0000:0000:ffff:${dotted}`,
    `::${dotted}`,
    `::${high}:${low}`,
    `::ffff:0:${dotted}`,
    `64:ff9b::${dotted}`,
    `64:FF9B::${high}:${low}`,
    `64:ff9b:1::${dotted}`,
    `64:ff9b:1:${high}:${low}::`,
    `2002:${high}:${low}::`,
    `2002:${high}:${low}:1::1`,
    `2001:0:4136:e378:8000:63bf:${notHigh}:${notLow}`,
    `2001::${notHigh}:${notLow}`,
    `fe80::5efe:${dotted}`,
  ].map((host) => `[${host}]`)
}
