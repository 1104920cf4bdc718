import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { AddressGuard } from '../src/dispatcher/sending/address-guard.ts'
import { Poster } from '../src/dispatcher/sending/post.ts'
import { forbiddenV4, isInV4, plumbingV4, v4In, v4Within } from './helpers/addresses.ts'

/** The sixteen bytes of an address, in groups. */
const textOf = (bytes: readonly number[]): string =>
  Array.from({ length: 8 }, (_, n) => ((bytes[2 * n] ?? 0) * 256 + (bytes[2 * n + 1] ?? 0)).toString(16)).join(':')

const isPublic = (octets: number[]): boolean => ![...forbiddenV4, ...plumbingV4].some((each) => isInV4(each, octets))
const publicV4 = v4In('0.0.0.0/0').filter(isPublic)
const privateV4 = fc.constantFrom(...forbiddenV4).chain(v4In)
const everything = { allowedNetworks: ['::/0', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32'] }

/** RFC 6052, section 2.4: its own examples, for 192.0.2.33. */
const rfc6052: [string, string][] = [
  ['2001:db8::/32', '2001:db8:c000:221::'],
  ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
  ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
  ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
  ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100::'],
  ['2001:db8:122:344::/96', '2001:db8:122:344::192.0.2.33'],
]

test.each(rfc6052)('below an own prefix %s, the IPv4 address of %s decides', (prefix, address) => {
  const own = { nat64Prefixes: [prefix] }
  expect(new AddressGuard({ ...own, allowedNetworks: ['192.0.2.33/32'] }).permits(address)).toBe(true)
  expect(new AddressGuard({ ...own, allowedNetworks: ['192.0.2.32/32', '::/0'] }).permits(address)).toBe(false)
})

test('64:ff9b::/96 needs no setting: public addresses pass, others do not, whichever IPv6 networks are allowed', () => {
  const guards = [new AddressGuard({ allowedNetworks: [] }), new AddressGuard(everything)]
  const below = (octets: number[]): string => `64:ff9b::${octets.join('.')}`
  fc.assert(fc.property(publicV4, (octets) => guards.every((guard) => guard.permits(below(octets)))))
  fc.assert(fc.property(privateV4, (octets) => guards.every((guard) => !guard.permits(below(octets)))))
  expect(guards.map((guard) => guard.permits('64:ff9b::7f00:1'))).toEqual([false, false])
  const lan = new AddressGuard({ allowedNetworks: ['10.0.0.0/8'] })
  expect(['64:ff9b::10.1.2.3', '64:ff9b::192.168.1.1'].map((text) => lan.permits(text))).toEqual([true, false])
})

test.each([32, 40, 48, 56, 64, 96])('every address below an own prefix of %i bits', (bits) => {
  const base = [0xfd, 0x64, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9]
  const prefix = Array.from({ length: 16 }, (_, n) => (n < bits / 8 ? (base[n] ?? 0) : 0))
  const guard = new AddressGuard({ ...everything, nat64Prefixes: [`${textOf(prefix)}/${bits}`] })
  const below = (octets: readonly number[]): string => {
    const bytes = [...prefix.slice(0, bits / 8), ...octets]
    if (bits < 96) bytes.splice(8, 0, 0)
    return textOf(bytes)
  }
  fc.assert(fc.property(publicV4, (octets) => guard.permits(below(octets))))
  fc.assert(fc.property(privateV4, (octets) => !guard.permits(below(octets))))
})

test('where two own prefixes overlap, both IPv4 addresses must be permitted', () => {
  const guard = new AddressGuard({ allowedNetworks: [], nat64Prefixes: ['2001:db8::/32', '2001:db8:808:808::/96'] })
  expect(guard.permits('2001:db8:808:808::8.8.8.8')).toBe(true)
  expect(guard.permits('2001:db8:808:808::10.0.0.1')).toBe(false)
})

test('the IPv4 address below 64:ff9b:1::/48 is unknown without a prefix', () => {
  const local = '64:ff9b:1::8.8.8.8'
  expect(new AddressGuard(everything).permits(local)).toBe(false)
  expect(new AddressGuard({ allowedNetworks: [], nat64Prefixes: ['64:ff9b:1::/96'] }).permits(local)).toBe(true)
})

test('an allowed IPv6 network does not let through what leads to a private IPv4 address', () => {
  const guard = new AddressGuard(everything)
  fc.assert(
    fc.property(privateV4, (octets) => {
      const texts = v4Within(octets).map((host) => host.slice(1, -1))
      expect(texts.filter((text) => guard.permits(text) && text !== '::0.0.0.1' && text !== '::0.0.0.0')).toEqual([])
    }),
  )
  const isatap = ['2600::5efe:10.0.0.1', '2600::200:5efe:127.0.0.1']
  expect(isatap.map((text) => new AddressGuard({ allowedNetworks: [] }).permits(text))).toEqual([false, false])
  const alsoLan = new AddressGuard({ allowedNetworks: ['2002::/16', '10.0.0.0/8'] })
  expect(['2002:a00:1::1', '2002:7f00:1::1'].map((text) => alsoLan.permits(text))).toEqual([true, false])
  expect(new AddressGuard({ allowedNetworks: ['::1/128'] }).permits('::1')).toBe(true)
})

test('an allowed network in mapped form is the IPv4 network', () => {
  const guard = new AddressGuard({ allowedNetworks: ['::ffff:10.0.0.0/104'] })
  expect(['10.1.2.3', '::ffff:10.1.2.3', '172.16.0.1'].map((text) => guard.permits(text))).toEqual([true, true, false])
})

test('the error of a refused address names the IPv4 address, or the setting that would tell it', async () => {
  const poster = new Poster(new AddressGuard({ allowedNetworks: ['::/0'] }), 2_000, null, () => null)
  onTestFinished(() => poster.close())
  const errorOf = async (host: string) => {
    const { result, error } = await poster.post({ url: `http://[${host}]/`, headers: [], body: Buffer.from('{}') })
    return `${result}: ${error}`
  }
  expect(await errorOf('64:ff9b::7f00:1')).toMatch(
    /^blocked: 64:ff9b::7f00:1 leads to 127.0.0.1, which is not a public/,
  )
  expect(await errorOf('64:ff9b:1::808:808')).toMatch(/^blocked: .* WEBHOOK_NAT64_PREFIXES/)
  expect(await errorOf('2002:7f00:1::')).toMatch(/^blocked: 2002:7f00:1:: is not a public address/)
})

test.each([
  ['10.0.0.0/8'],
  ['64:ff9b::'],
  ['64:ff9b::/95'],
  ['2001:db8::/33'],
  ['2001:db8::1/96'],
  ['2001:db8:0:0:100::/96'],
  ['nat64.example/96'],
  ['2001:db8::/96,no'],
])('WEBHOOK_NAT64_PREFIXES=%s is refused in one line', (text) => {
  expect(() => readConfig({ WEBHOOK_NAT64_PREFIXES: text })).toThrow(/^WEBHOOK_NAT64_PREFIXES: got .*; expected .*$/)
})

test('prefixes are read as a list', () => {
  const { nat64Prefixes } = readConfig({ WEBHOOK_NAT64_PREFIXES: '2001:db8:64::/96, fd00:64::/64' }).webhook
  expect(nat64Prefixes).toEqual(['2001:db8:64::/96', 'fd00:64::/64'])
  expect(readConfig({}).webhook.nat64Prefixes).toEqual([])
})
