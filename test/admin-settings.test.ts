import { describe, expect, test } from 'vitest'
import { trustedProxies } from '../src/admin/trusted-proxies.ts'
import { readConfig } from '../src/config.ts'

describe('ADMIN_PORT and ADMIN_URL', () => {
  test.each([
    [{}, null, 'http://localhost:8080'],
    [{ PUBLIC_URL: 'https://callbox.example/' }, null, 'https://callbox.example'],
    [{ PORT: '9000', ADMIN_PORT: '9000' }, null, 'http://localhost:9000'],
    [{ ADMIN_PORT: '9001', PUBLIC_URL: 'https://callbox.example' }, 9001, 'http://localhost:9001'],
    [{ PORT: '0', ADMIN_PORT: '0' }, 0, 'http://localhost:0'],
    [{ ADMIN_PORT: '9001', ADMIN_URL: 'https://admin.example/' }, 9001, 'https://admin.example'],
  ])('%j', (env, adminPort, adminUrl) => {
    expect(readConfig(env)).toMatchObject({ adminPort, adminUrl })
  })

  test.each(['-1', '65536', '8081a', '80.5'])('no port: %s', (port) => {
    expect(() => readConfig({ ADMIN_PORT: port })).toThrow(`ADMIN_PORT: got "${port}"; expected a port from 0 to 65535`)
  })
})

describe('ADMIN_TOKEN', () => {
  test.each(['a'.repeat(15), `night:${'a'.repeat(15)}`, `day:${'a'.repeat(16)},night:${'b'.repeat(15)}`])(
    'needs 16 characters, not counting the name: %s',
    (text) => {
      expect(() => readConfig({ ADMIN_TOKEN: text })).toThrow(
        `ADMIN_TOKEN: got a value of ${text.length} characters; expected a token of 16 characters or more (printable ASCII), or name:token,name:token, no token twice`,
      )
    },
  )

  test('of 16 characters is accepted', () => {
    expect(readConfig({ ADMIN_TOKEN: `night:${'a'.repeat(16)}` }).adminTokens).toEqual([
      { name: 'night', token: 'a'.repeat(16) },
    ])
  })
})

describe('TRUSTED_PROXIES', () => {
  test.each([
    '10.0.0.0/33',
    '10.0.0',
    'loopback',
    'fd00::/129',
    '10.0.0.1/8/8',
    'proxy.example',
    '10.0.0.1/',
    'fe80::1%eth0',
  ])('refuses %s', (text) => {
    expect(() => readConfig({ TRUSTED_PROXIES: `127.0.0.1,${text}` })).toThrow(
      `TRUSTED_PROXIES: got "127.0.0.1,${text}"; expected addresses and networks joined by commas`,
    )
  })

  const isTrusted = (setting: string, address: string | undefined): boolean =>
    trustedProxies(readConfig({ TRUSTED_PROXIES: setting }).trustedProxies)(address)

  test.each([
    ['10.0.0.0/8', '10.1.2.3'],
    ['10.0.0.0/8', '::ffff:10.1.2.3'],
    ['10.0.0.5', '10.0.0.5'],
    ['10.0.0.5', '10.0.0.5:41234'],
    ['192.0.2.1, 10.0.0.5', '10.0.0.5'],
    ['::ffff:10.0.0.0/104', '10.1.2.3'],
    ['::ffff:10.0.0.5', '::ffff:10.0.0.5'],
    ['fd00::/8', 'fd12::1'],
    ['fd00::1', '[fd00::1]:443'],
    ['fe80::/10', 'fe80::1%eth0'],
    ['0.0.0.0/0', '198.51.100.1'],
  ])('%s trusts %s', (setting, address) => {
    expect(isTrusted(setting, address)).toBe(true)
  })

  test.each([
    ['', '127.0.0.1'],
    ['', '::1'],
    ['', '10.0.0.1'],
    ['10.0.0.0/8', '11.0.0.1'],
    ['10.0.0.0/8', '::1'],
    ['10.0.0.5', '10.0.0.6'],
    ['fd00::/8', '10.0.0.1'],
    ['::/0', '10.0.0.1'],
    ['0.0.0.0/0', 'unknown'],
    ['0.0.0.0/0', undefined],
  ])('%j does not trust %s', (setting, address) => {
    expect(isTrusted(setting, address)).toBe(false)
  })
})
