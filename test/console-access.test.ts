import { beforeAll, describe, expect, test } from 'vitest'
import { operatorToken, otherToken } from './helpers/admin-api.ts'
import { consoleTokens, startConsole, type TestConsole } from './helpers/console.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

/** Every page that can be opened without anything being stored. */
const pages = [
  ...['', '/deliveries', '/requeues', '/requeues/new', '/routes', '/businesses', '/businesses/new', '/calls'],
  ...['/callbacks', '/audit'],
]

let database: TestDatabase
let site: TestConsole
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
})

const setCookie = (headers: Headers): string => headers.getSetCookie().join('\n')

describe('sign-in', () => {
  test('with one of the tokens leads to the page that was asked for, as the one whose token it is', async () => {
    for (const [token, name] of [
      [operatorToken, 'night'],
      [otherToken, 'day'],
    ] as const) {
      const visitor = site.visitor()
      const turned = await visitor.get('/console/audit?operator=day')
      expect(turned.headers.get('location')).toBe('/console/sign-in?next=%2Fconsole%2Faudit%3Foperator%3Dday')
      const form = await visitor.follow(turned)
      expect(form.status).toBe(200)
      const next = /name="next" value="([^"]+)"/.exec(form.text)?.[1]?.replaceAll('&amp;', '&')
      const signedIn = await visitor.post('/console/sign-in', { token: ` ${token}\n`, next: next ?? '' })
      expect(signedIn.headers.get('location')).toBe('/console/audit?operator=day')
      const page = await visitor.follow(signedIn)
      expect(page.status).toBe(200)
      expect(page.text).toContain(`<bdi>${name}</bdi>`)
      expect(site.logs.at(-1)).toContain(`"operator":"${name}"`)
      expect((await visitor.get('/console/sign-in')).headers.get('location')).toBe('/console')
    }
    expect(site.logs.join('')).not.toMatch(new RegExp(`${operatorToken}|${otherToken}`))
  })

  test.each([
    ['an unknown one', { token: 'not-a-token-of-ours' }],
    ['a beginning of one', { token: operatorToken.slice(0, -1) }],
    ['one and more', { token: `${operatorToken}x` }],
    ['the name of one', { token: 'night' }],
    ['an empty one', { token: '' }],
    ['none', {}],
    ['a very long one', { token: operatorToken.repeat(1_000) }],
  ])('with %s is refused, and sets no cookie', async (_name, fields) => {
    const visitor = site.visitor()
    const refused = await visitor.post('/console/sign-in', fields)
    expect(refused.status).toBe(401)
    expect(refused.text).toContain('role="alert"')
    expect(refused.headers.getSetCookie()).toEqual([])
    expect((await visitor.get('/console')).status).toBe(303)
  })

  test.each([
    'https://evil.example/console/audit',
    '//evil.example/console/audit',
    '/\\evil.example/console',
    '/console/../admin/businesses',
    '/consoles',
    '/console/sign-in',
    'javascript:alert(1)',
    '/admin',
  ])('leads nowhere but to the console: %s', async (next) => {
    const visitor = site.visitor()
    const answer = await visitor.post('/console/sign-in', { token: operatorToken, next })
    expect(answer.headers.get('location')).toBe('/console')
  })

  test('a link of another site finds those who are signed in', async () => {
    const stranger = site.visitor()
    const step = await stranger.get('/console/audit?operator=%22%3E', { 'sec-fetch-site': 'cross-site' })
    expect(step.status).toBe(200)
    expect(step.text).toContain('<meta http-equiv="refresh" content="0;url=/console/audit?operator=%22%3E">')
    expect(step.headers.getSetCookie()).toEqual([])
    expect((await stranger.get('/console/audit', { 'sec-fetch-site': 'same-origin' })).status).toBe(303)
  })
})

describe('the cookie', () => {
  test('is out of reach of scripts and other sites', async () => {
    const answer = await site.visitor().post('/console/sign-in', { token: operatorToken })
    expect(setCookie(answer.headers)).toMatch(
      /^callbox_session=[^;]+; Max-Age=43200; Path=\/console; .*HttpOnly; SameSite=Strict$/,
    )
  })

  test('over https it is Secure and of this host alone', async () => {
    const secure = await startConsole(database, { publicUrl: 'https://callbox.example' })
    const visitor = await secure.signedIn()
    const answer = await secure.visitor().post('/console/sign-in', { token: operatorToken })
    expect(setCookie(answer.headers)).toMatch(
      /^__Host-callbox_session=[^;]+; Max-Age=43200; Path=\/; .*HttpOnly; Secure; SameSite=Strict$/,
    )
    expect((await visitor.get('/console')).status).toBe(200)
    const gone = await visitor.post('/console/sign-out')
    expect(setCookie(gone.headers)).toMatch(
      /^__Host-callbox_session=; Path=\/; Expires=Thu, 01 Jan 1970 .*HttpOnly; Secure; SameSite=Strict$/m,
    )
    expect(visitor.cookies.size).toBe(0)
    expect((await visitor.get('/console')).status).toBe(303)
  })

  test('of https is not asked of a browser that would drop it: the sign-in says where to go', async () => {
    const secure = await startConsole(database, { publicUrl: 'https://callbox.example' })
    const signIn = (origin: string) =>
      secure.visitor().post('/console/sign-in', { token: operatorToken }, { origin, 'sec-fetch-site': 'same-origin' })
    const refused = await signIn('http://10.0.0.5:8080')
    expect(refused.status).toBe(400)
    expect(refused.text).toContain('Open the console at https://callbox.example/console.')
    expect(setCookie(refused.headers)).toBe('')
    expect((await signIn('https://callbox.example')).status).toBe(303)
    expect((await signIn('http://localhost:8080')).status).toBe(303)
  })

  test('survives a restart, and ends when its token is gone', async () => {
    const night = await site.signedIn(operatorToken)
    const day = await site.signedIn(otherToken)
    const restarted = await startConsole(database, { adminTokens: consoleTokens.slice(0, 1) })
    const atRestarted = async (cookies: Map<string, string>) => {
      const visitor = restarted.visitor()
      for (const [name, value] of cookies) visitor.cookies.set(name, value)
      return visitor.get('/console')
    }
    expect((await atRestarted(day.cookies)).status).toBe(200)
    const refused = await atRestarted(night.cookies)
    expect(refused.status).toBe(303)
    expect(setCookie(refused.headers)).toContain('callbox_session=;')
  })

  test('that was tampered with is none', async () => {
    const { cookies } = await site.signedIn()
    const [head = '', claims = '', signature = ''] = (cookies.get('callbox_session') ?? '').split('.')
    const changed = JSON.parse(Buffer.from(claims, 'base64url').toString())
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const value of [
      `${head}.${encode({ ...changed, exp: changed.exp + 1 })}.${signature}`,
      `${encode({ alg: 'none' })}.${claims}.`,
      `${head}.${claims}`,
      'x',
      '',
    ]) {
      const visitor = site.visitor()
      visitor.cookies.set('callbox_session', value)
      expect([value, (await visitor.get('/console')).status]).toEqual([value, 303])
    }
  })
})

describe('orders', () => {
  const signedOut = async (headers: Record<string, string>, fields: Record<string, string>) => {
    const visitor = await site.signedIn()
    const answer = await visitor.post('/console/nothing', fields, headers)
    return { answer, still: (await visitor.get('/console')).status }
  }

  test('with the secret of the session are let through', async () => {
    expect((await signedOut({}, {})).answer.status).toBe(404)
  })

  test.each([
    ['none', ''],
    ['another one', 'x'.repeat(43)],
    ['a longer one', 'x'.repeat(44)],
  ])('with %s are refused', async (_name, csrf) => {
    const { answer } = await signedOut({}, { csrf })
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('from another session')
  })

  test('with the secret of another session are refused', async () => {
    const page = await (await site.signedIn()).get('/console/audit')
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
    expect((await signedOut({}, { csrf })).answer.status).toBe(403)
  })

  test.each([
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['a sister of our host', { 'sec-fetch-site': 'same-site' }, 403],
    ['an address that was typed in', { 'sec-fetch-site': 'none' }, 403],
    ['another origin', { origin: 'https://evil.example' }, 403],
    ['a hidden origin', { origin: 'null' }, 403],
    ['no origin', { origin: '' }, 403],
    ['our own page', { 'sec-fetch-site': 'same-origin', origin: 'https://proxy.example' }, 404],
    ['our public address', { origin: 'http://localhost:8080' }, 404],
  ])('from %s', async (_name, headers, status) => {
    expect((await signedOut(headers, {})).answer.status).toBe(status)
  })

  test('from another site sign nobody in or out', async () => {
    const elsewhere = { 'sec-fetch-site': 'cross-site' }
    expect((await site.visitor().post('/console/sign-in', { token: operatorToken }, elsewhere)).status).toBe(403)
    const visitor = await site.signedIn()
    expect((await visitor.post('/console/sign-out', {}, elsewhere)).status).toBe(403)
    expect((await visitor.get('/console')).status).toBe(200)
  })

  test('of nobody who is signed in are refused', async () => {
    const answer = await site.visitor().post('/console/nothing', { csrf: 'x' })
    expect(answer.status).toBe(401)
    expect(answer.text).toContain('sign in again')
  })
})

describe('every page', () => {
  const policy =
    "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;connect-src 'self';" +
    "form-action 'self';frame-ancestors 'none';base-uri 'none'"
  const hardened = (headers: Headers): void => {
    expect(headers.get('content-security-policy')).toBe(policy)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('referrer-policy')).toBe('same-origin')
    expect(headers.get('cache-control')).toBe('no-store')
  }

  test.each(pages)(
    '/console%s: for the signed-in alone, hardened, not stored, without inline script or style',
    async (path) => {
      expect((await site.visitor().get(`/console${path}`)).status).toBe(303)
      const { status, headers, text } = await (await site.signedIn()).get(`/console${path}`)
      expect(status).toBe(200)
      expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
      hardened(headers)
      expect(text).not.toMatch(/<script(?![^>]+src=)|<style|\sstyle=|\son\w+=/)
      expect(text.match(/aria-current="page"/g)).toHaveLength(1)
    },
  )

  test('errors too', async () => {
    const visitor = await site.signedIn()
    const missing = await visitor.get('/console/%3Cscript%3E')
    expect(missing.status).toBe(404)
    expect(missing.text).toContain('The console has no such page.')
    hardened(missing.headers)
    const broken = await visitor.get('/console/%ff')
    expect(broken.status).toBe(404)
    const large = await visitor.post('/console/nothing', { text: 'x'.repeat(300_000) })
    expect(large.status).toBe(413)
    hardened(large.headers)
  })
})

describe('the files that pages load', () => {
  test('come from us, never change, and are what they say', async () => {
    const { text } = await site.visitor().get('/console/sign-in')
    const found = [...text.matchAll(/(?:src|href)="(\/console\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '')
    expect(found.map((path) => path.split('/').at(-1)).sort()).toEqual(['console.css', 'console.js', 'icon.svg'])
    for (const path of found) {
      const answer = await site.visitor().get(path)
      expect([path, answer.status]).toEqual([path, 200])
      expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
      expect(answer.headers.get('content-type')).toMatch(/^(text\/css|text\/javascript|image\/svg\+xml)/)
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    }
    expect((await site.visitor().get('/console/assets/old/console.css')).status).toBe(404)
  })
})
