import fc from 'fast-check'
import twilio from 'twilio/lib/webhooks/webhooks.js'
import { afterAll, expect, test } from 'vitest'
import { exampleOf } from '../src/admin/schemas/examples.ts'
import { parseForm } from '../src/ingress/callback.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { type HostileRequest, hostileRequests } from './helpers/hostile-requests.ts'
import { DocumentJudge, type Operation, type SeenAnswer } from './helpers/openapi.ts'
import { enqueue } from './helpers/outbox.ts'
import { sendRaw } from './helpers/raw-request.ts'
import { spawnService } from './helpers/service-process.ts'
import { account, publicUrl } from './helpers/twilio.ts'

const runs = 100
const token = 'the-operator-token'

// What the document's examples name is there, so that requests get as far as they can.
const database = await createTestDatabase()
await putBusiness(database, exampleOf.businessId, { inbound: exampleOf.url })
await enqueue(database, exampleOf.businessId, exampleOf.callSid)
await database
  .knex('callbox.calls')
  .insert({ business_id: exampleOf.businessId, call_sid: exampleOf.callSid, state: 'failed' })
await database.knex('callbox.requeues').insert({
  ...{ id: exampleOf.requeueId, operator: 'admin', filter: '{}', until: new Date(), state: 'stopped' },
  ...{ total: 1, total_is_exact: true },
})

const service = spawnService(['api'], database.url, {
  ...{ PORT: '0', ADMIN_TOKEN: token, PUBLIC_URL: publicUrl, TRUSTED_PROXIES: '127.0.0.1' },
  ...{ TWILIO_ACCOUNT_SID: account.accountSid, TWILIO_AUTH_TOKEN: account.authToken },
})
afterAll(async () => {
  service.signal('SIGKILL')
  await service.exited()
})
const port = Number((await service.untilLogged('service.listening'))['port'])
await service.ready()
const { body: served } = await sendRaw(port, 'GET', '/openapi.json', {}, null)
const judge = new DocumentJudge(JSON.parse(served))
const operations = Object.entries(judge.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => [operation.operationId, path, method, operation] as const),
)
const answered = new Set<number>()

/** Twilio's callbacks are signed, whatever they say, as far as it is a text at all. */
function signatureOf({ target, body }: HostileRequest): Record<string, string> {
  const form = parseForm(String(body ?? ''))
  return { 'x-twilio-signature': twilio.getExpectedTwilioSignature(account.authToken, `${publicUrl}${target}`, form) }
}

async function send(request: HostileRequest, isSigned: boolean): Promise<SeenAnswer> {
  const { method, target, body } = request
  const headers = { ...(isSigned ? signatureOf(request) : {}), ...request.headers }
  const answer = await sendRaw(port, method, target, headers, body)
  answered.add(answer.status)
  return answer
}

/** What is taken may be nothing that the document forbids. */
function bodyMismatch({ requestBody }: Operation, { headers, body }: HostileRequest): string | null {
  const schema = requestBody?.content['application/json']?.schema
  const isPlain = headers['content-type'] === 'application/json' && !headers['content-encoding']
  if (!schema || !body?.length || !isPlain) return null
  return judge.mismatch(schema, JSON.parse(new TextDecoder().decode(body)))
}

test.each(operations)('%s: hostile input is answered as the document says, and never with 5xx', async (_, ...given) => {
  const [path, method, operation] = given
  const isSigned = path.startsWith('/webhook/')
  const entry: Record<string, string> = path.startsWith('/admin/') ? { authorization: `Bearer ${token}` } : {}
  const property = fc.asyncProperty(hostileRequests(judge, path, method, operation, entry), async (request) => {
    const answer = await send(request, isSigned)
    expect(judge.complaintAbout(answer)).toBeNull()
    expect(answer.status).toBeLessThan(500)
    expect(answer.header('x-injected')).toBeNull()
    const isTaken = answer.status < 300 && request.method === method.toUpperCase()
    if (isTaken) expect(bodyMismatch(operation, request)).toBeNull()
  })
  await fc.assert(property, { numRuns: runs, interruptAfterTimeLimit: 10_000 })
  expect(await sendRaw(port, 'GET', '/healthz', {}, null)).toMatchObject({ status: 200 })
})

test('some of it was taken, and the rest refused for every reason that there is', () => {
  expect([...answered].toSorted()).toEqual(
    expect.arrayContaining([200, 202, 204, 400, 401, 404, 405, 409, 413, 415, 429]),
  )
})

test('none of it was an error that was not expected', () => {
  expect(service.log.filter(({ level }) => Number(level) >= 50)).toEqual([])
  expect(service.hasExited()).toBe(false)
})
