import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { createKnex } from '../src/database/knex.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { signCallback } from '../src/demo/twilio-callbacks.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import {
  account,
  callbacksOf,
  type IngressStage,
  newCall,
  openIngress,
  publicUrl,
  type SentCallback,
  secondAuthToken,
  settled,
  signedUrl,
  statusCallback,
} from './helpers/twilio.ts'

let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await openIngress(database)
})

const counted = async (kind: string, result: string, of = stage): Promise<number> => {
  const { values } = await of.metrics.callbacks.get()
  return values.find(({ labels }) => labels.kind === kind && labels.result === result)?.value ?? 0
}
const everyRow = async (): Promise<number> => {
  const { rows } = await database.pool.query('select count(*)::int as n from twilio_callbacks')
  return rows[0].n
}
const headersFor = (callback: SentCallback) =>
  signCallback(account.authToken, signedUrl(callback), callback.params).headers

describe('a signed callback', () => {
  test.each(['call_status', 'recording_status'] as const)('%s is stored byte for byte and answered', async (kind) => {
    const call = newCall()
    const callback = {
      kind,
      params: { CallSid: call.callSid, CallerName: 'יעל כהן 👋', Odd: "a+b c&d=e%20'~" },
      query: 'business_id=7&note=%D7%A9%27s+x&note=2&empty=',
    }
    const answer = await stage.post(callback)
    expect(answer).toEqual({ status: 204, type: null, body: '' })
    const rows = await callbacksOf(database, call.callSid)
    expect(rows).toMatchObject([
      { kind, query: callback.query, body: new URLSearchParams(callback.params).toString(), state: 'new' },
    ])
  })

  test('is taken by any of the tokens, so that one can rotate', async () => {
    expect((await stage.post(statusCallback(newCall()), secondAuthToken)).status).toBe(204)
  })

  test('keeps a parameter that is given twice', async () => {
    const call = newCall()
    const body = `CallSid=${call.callSid}&Twice=b&Twice=a`
    const params = { CallSid: call.callSid, Twice: ['b', 'a'] } as unknown as Record<string, string>
    const callback: SentCallback = { kind: 'call_status', params }
    expect((await stage.postAs(callback, headersFor(callback), body)).status).toBe(204)
    expect(await callbacksOf(database, call.callSid)).toMatchObject([{ body }])
  })

  test('may be signed for the URL with or without its standard port', async () => {
    const callback = statusCallback(newCall())
    const url = signedUrl(callback).replace(publicUrl, `${publicUrl}:443`)
    const { headers } = signCallback(account.authToken, url, callback.params)
    expect((await stage.postAs(callback, headers)).status).toBe(204)
  })

  test('that names no call is kept unmatched with the reason, since no repetition would mend it', async () => {
    const stageOfItsOwn = await openIngress(database)
    stageOfItsOwn.ingress.start()
    expect((await stageOfItsOwn.post({ kind: 'call_status', params: { CallSid: '../x', From: '\0' } })).status).toBe(
      204,
    )
    expect(await settled(database, '', 1)).toMatchObject([{ state: 'unmatched', reason: 'it names no CallSid' }])
    await stageOfItsOwn.close()
  })
})

describe('a repeated callback', () => {
  const rows = async (callSid: string) => (await callbacksOf(database, callSid)).length

  test('is stored once, however often it arrives concurrently and at whichever process', async () => {
    const other = await openIngress(database)
    const callback = statusCallback(newCall())
    const stored = await counted('call_status', 'stored')
    const repeated = await counted('call_status', 'repeated')
    const posts = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? stage : other).post(callback))
    for (const answer of await Promise.all(posts)) expect(answer).toEqual({ status: 204, type: null, body: '' })
    expect(await rows(callback.params['CallSid'] ?? '')).toBe(1)
    const both = async (result: string) =>
      (await counted('call_status', result)) + (await counted('call_status', result, other))
    expect([await both('stored'), await both('repeated')]).toEqual([stored + 1, repeated + 11])
    await other.close()
  })

  test('is one whatever the order of its parameters, and whichever token signed it', async () => {
    const callback = statusCallback(newCall())
    await stage.post(callback)
    await stage.post({ ...callback, params: Object.fromEntries(Object.entries(callback.params).toReversed()) })
    await stage.post(callback, secondAuthToken)
    expect(await rows(callback.params['CallSid'] ?? '')).toBe(1)
  })

  test('is a new one if anything that is signed differs', async () => {
    const call = newCall()
    const callback = statusCallback(call)
    await stage.post(callback)
    await stage.post(statusCallback(call, 'ringing'))
    await stage.post({ ...callback, kind: 'recording_status' })
    await stage.post({ ...callback, query: 'business_id=10' })
    await stage.post({ ...callback, params: { ...callback.params, SequenceNumber: '1' } })
    expect(await rows(call.callSid)).toBe(5)
  })
})

describe('a callback with a wrong method or path', () => {
  const ask = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${stage.url}${path}`, { method, headers })
    const body = await answer.text()
    return { status: answer.status, allow: answer.headers.get('allow'), body }
  }
  const logged = () => stage.logged.map((line) => JSON.parse(line)).filter(({ event }) => event === 'callback.refused')

  test.each([
    ...['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [method, 'call_status']),
    ['GET', 'recording_status'],
  ])('%s of %s is answered 405, logged and counted', async (method, kind) => {
    const [before, stored] = [await counted(kind, 'wrong_method'), await everyRow()]
    stage.logged.length = 0
    const answer = await ask(method, `/webhook/${kind}?CallSid=CA1`)
    expect(answer).toMatchObject({ status: 405, allow: 'POST' })
    if (method !== 'HEAD') expect(JSON.parse(answer.body)).toMatchObject({ status: 405, title: 'Method Not Allowed' })
    expect(logged()).toMatchObject([
      { kind, result: 'wrong_method', reason: expect.stringContaining(method), level: 40 },
    ])
    expect(await counted(kind, 'wrong_method')).toBe(before + 1)
    expect(await everyRow()).toBe(stored)
  })

  test.each([
    ['POST', '/webhook/call-status', {}],
    ['POST', '/webhook/callstatus?business_id=10', {}],
    ['GET', '/webhook/recording_statu', {}],
    ['POST', '/webhook', {}],
    ['POST', '/webhooks/call_status', {}],
    ['POST', '//webhook/call_status', {}],
    ['POST', '/webhook/call_status/more', {}],
    ['POST', '/call_status', { 'x-twilio-signature': 'any' }],
  ])('%s %s is answered 404, logged and counted', async (method, path, headers) => {
    const before = await counted('unknown', 'unknown_path')
    stage.logged.length = 0
    expect(await ask(method, path, headers)).toMatchObject({ status: 404 })
    expect(logged()).toMatchObject([{ kind: 'unknown', result: 'unknown_path', level: 40 }])
    expect(await counted('unknown', 'unknown_path')).toBe(before + 1)
  })
})

describe('a callback that is not Twilio’s', () => {
  const callback = statusCallback(newCall(), 'ringing')
  const signed = headersFor(callback)
  const { 'x-twilio-signature': _, ...unsigned } = signed

  test.each([
    ['without a signature', unsigned, undefined],
    ['with an empty one', { ...unsigned, 'x-twilio-signature': '' }, undefined],
    ['with a wrong one', { ...unsigned, 'x-twilio-signature': 'c2lnbmF0dXJlc2lnbmF0dXJlc2k=' }, undefined],
    ['with another body', signed, `${new URLSearchParams(callback.params)}&From=x`],
    ['with no body', signed, ''],
    ['with a stranger’s token', signCallback('stranger', signedUrl(callback), callback.params).headers, undefined],
    ['signed for the other path', headersFor({ ...callback, kind: 'recording_status' }), undefined],
    ['signed for another query', headersFor({ ...callback, query: 'business_id=1' }), undefined],
  ])('%s is refused, counted, logged and not stored', async (_what, headers, body) => {
    const [rows, refused] = [await everyRow(), await counted('call_status', 'forged')]
    stage.logged.length = 0
    const answer = await stage.postAs(callback, headers, body)
    expect(answer).toMatchObject({ status: 403, type: 'application/problem+json; charset=utf-8' })
    expect(JSON.parse(answer.body)).toEqual({
      type: 'about:blank',
      title: 'Forbidden',
      status: 403,
      detail: expect.stringContaining('X-Twilio-Signature'),
    })
    expect(await everyRow()).toBe(rows)
    expect(await counted('call_status', 'forged')).toBe(refused + 1)
    expect(stage.logged.map((line) => JSON.parse(line))).toMatchObject([{ event: 'callback.refused', level: 40 }])
  })

  test('is every one while no token is set', async () => {
    const without = await openIngress(database, { TWILIO_AUTH_TOKEN: '' })
    const answer = await without.post(callback)
    expect(answer).toMatchObject({ status: 403, body: expect.stringContaining('TWILIO_AUTH_TOKEN is not set') })
    await without.close()
  })
})

describe('a body that cannot be kept', () => {
  const callback = statusCallback(newCall())
  test.each([
    ['too long', 413, 'x='.padEnd(70_000, 'a'), {}],
    ['too long once unpacked', 413, gzipSync('x='.padEnd(70_000, 'a')), { 'content-encoding': 'gzip' }],
    ['no gzip though it says so', 400, 'CallSid=CA1', { 'content-encoding': 'gzip' }],
    ['no UTF-8', 400, Buffer.from([0x61, 0xff]), {}],
    ['with a NUL', 400, 'a\0', {}],
  ])('%s: %i', async (_what, status, body, headers) => {
    const [rows, invalid] = [await everyRow(), await counted('call_status', 'invalid')]
    const answer = await stage.postAs(callback, { ...headersFor(callback), ...headers }, body)
    expect(answer).toMatchObject({ status, type: 'application/problem+json; charset=utf-8' })
    expect(await everyRow()).toBe(rows)
    expect(await counted('call_status', 'invalid')).toBe(invalid + 1)
  })
})

test('while both database and disk fail the answer is 503, so that Twilio retries', async () => {
  const nobody = createServer().listen(0, '127.0.0.1')
  const address = nobody.address()
  await new Promise((resolve) => nobody.close(resolve))
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const away = createKnex(`postgres://nobody@127.0.0.1:${port}/none`, defaultSchema, 'callbox test', 1)
  const withoutDisk = fileURLToPath(import.meta.url)
  const without = await openIngress({ url: database.url, knex: away }, { CALLBOX_HOME: withoutDisk })
  without.ingress.start()
  const answer = await without.post(statusCallback(newCall()))
  expect(answer).toMatchObject({ status: 503, type: 'application/problem+json; charset=utf-8' })
  expect(await counted('call_status', 'unavailable', without)).toBe(1)
  await without.close()
  await away.destroy()
})

test('no log line has a phone number, a token or the path of a request', async () => {
  const told = await openIngress(database)
  told.ingress.start()
  const call = newCall({ from: '+972509999999', to: '+97239999999' })
  told.twilio.addCall(call)
  await told.post({ ...statusCallback(call), query: 'business_id=x' })
  await told.post(told.recordingCallback(call))
  await told.post({ kind: 'call_status', params: { ...statusCallback(call).params, Direction: call.from } })
  await told.post(statusCallback(call), 'stranger')
  await settled(database, call.callSid, 3)
  await told.close()
  const logged = told.logged.join('')
  expect(logged).toContain('callback.unmatched')
  for (const secret of ['9999999', '/webhook', account.authToken]) expect(logged).not.toContain(secret)
})
