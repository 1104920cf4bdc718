import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readBody, startLoopbackServer } from '../src/demo/loopback-server.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { type N8nRun, N8nStandIn, n8nWorkflow } from './helpers/n8n-stand-in.ts'
import { untilStatus } from './helpers/outbox.ts'

const text = readFileSync(new URL('../examples/n8n/callbox-calls.json', import.meta.url), 'utf8')
const workflow = n8nWorkflow.parse(JSON.parse(text))
const sample = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')

/** A secret as the example's README has it made: its text goes to n8n, and in base64 to Callbox. */
function newSecret(): { text: string; whsec: string } {
  const secret = randomBytes(24).toString('hex')
  return { text: secret, whsec: `whsec_${Buffer.from(secret).toString('base64')}` }
}

describe('the workflow', () => {
  const names = workflow.nodes.map(({ name }) => name)
  const targets = (name: string): string[] =>
    (workflow.connections[name]?.main ?? []).flat().map((connection) => connection.node)
  const reachedFrom = (name: string, seen = new Set<string>()): Set<string> => {
    for (const target of targets(name)) if (!seen.has(target)) reachedFrom(target, seen.add(target))
    return seen
  }

  test('names and ids are unique, and every connection goes from one of its nodes to another', () => {
    expect(new Set(names).size).toBe(names.length)
    expect(new Set(workflow.nodes.map(({ id }) => id)).size).toBe(names.length)
    for (const source of Object.keys(workflow.connections)) {
      expect(names, source).toContain(source)
      for (const target of targets(source)) expect(names, source).toContain(target)
    }
  })

  test('every node is reached from a trigger, and names only nodes that ran before it', () => {
    const triggers = workflow.nodes.filter(({ type }) => /\.(webhook|scheduleTrigger)$/.test(type))
    const reached = new Set(triggers.flatMap(({ name }) => [name, ...reachedFrom(name)]))
    expect(workflow.nodes.filter(({ type }) => !type.endsWith('.stickyNote')).map(({ name }) => name)).toEqual(
      expect.arrayContaining([...reached]),
    )
    expect(reached.size).toBe(names.length - 1)
    for (const { name, parameters } of workflow.nodes) {
      for (const [, named = ''] of JSON.stringify(parameters).matchAll(/\$\('([^']+)'\)/g)) {
        expect(reachedFrom(named), `${name} names ${named}`).toContain(name)
      }
    }
  })

  test('keeps the raw body, and needs no module, environment variable or credential of somebody else', () => {
    const webhook = workflow.nodes.find(({ type }) => type.endsWith('.webhook'))
    expect(webhook?.parameters).toMatchObject({ responseMode: 'responseNode', options: { rawBody: true } })
    expect(text).not.toMatch(/require\(|\$env|\$vars|whsec_/)
    expect(workflow.nodes.filter(({ credentials }) => credentials !== undefined)).toEqual([])
  })
})

describe('run by a stand-in for n8n', () => {
  let database: TestDatabase
  let api: AdminApi
  beforeAll(async () => {
    database = await createTestDatabase()
    api = await startAdminApi(database)
  })

  let businesses = 0
  /** A business whose calls go to a workflow of its own, by a real dispatcher. */
  async function newBusiness() {
    businesses += 1
    const business = String(businesses)
    const secret = newSecret()
    const n8n = new N8nStandIn(workflow, secret.text)
    const runs: N8nRun[] = []
    const server = await startLoopbackServer(async (request, response) => {
      const run = await n8n.post(request.headers, await readBody(request, 2 * 1024 * 1024))
      runs.push(run)
      response.writeHead(run.status).end(run.answer)
    })
    onTestFinished(() => server.close())
    const put = (settings: unknown) => api.send('PUT', `/admin/businesses/${business}`, settings)
    await put({ inbound_webhook_url: server.url, signing_secret: secret.whsec })
    runDispatcher(database.url)
    const deliver = async (eventType: string, payload: string, callSid: string): Promise<string> => {
      const sql = `select callbox_enqueue($1, $2, $3, 'inbound', $4) as id`
      const { rows } = await database.pool.query(sql, [business, callSid, eventType, payload])
      await untilStatus(database, rows[0].id, 'delivered')
      return rows[0].id
    }
    return { n8n, runs, put, deliver }
  }
  const endOf = (run: N8nRun | undefined): string | undefined => run?.visited.at(-1)
  const remembered = (n8n: N8nStandIn): unknown[] => [...n8n.tables.values()].flat().map(({ webhook_id }) => webhook_id)

  test('calls are accepted, remembered, and branch by city, with the event for the steps to use', async () => {
    const { n8n, runs, deliver } = await newBusiness()
    const ids = []
    for (const city of ['בית שאן', 'חיפה', 'תל אביב', '']) {
      ids.push(await deliver('call.completed', sample.replace('בית שאן', city), `CA${city}`))
    }
    expect(runs.map(endOf)).toEqual([
      'Steps for another city',
      'Steps for Haifa',
      'Steps for Tel Aviv',
      'Steps for another city',
    ])
    expect(runs.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(remembered(n8n)).toEqual(ids)
    expect(runs[0]?.last).toEqual(JSON.parse(sample))
  })

  test('a call that is delivered again is accepted, and nothing more', async () => {
    const { n8n, runs, deliver } = await newBusiness()
    const id = await deliver('call.completed', sample, 'CAagain')
    await api.send('POST', `/admin/deliveries/${id}/requeue`)
    await expect.poll(() => runs.length).toBe(2)
    expect(endOf(runs[1])).toBe('Accept the repeat')
    expect(runs[1]?.status).toBe(200)
    expect(remembered(n8n)).toEqual([id])
  })

  test('a test event is accepted, and reaches no step', async () => {
    const { runs, deliver } = await newBusiness()
    await deliver('callbox.test', '{"event_type":"callbox.test"}', 'CAtest')
    expect(endOf(runs[0])).toBe('Completed calls only')
  })

  test('while the secret is replaced, the former one in n8n is good enough', async () => {
    const { runs, put, deliver } = await newBusiness()
    await put({ signing_secret: newSecret().whsec })
    await deliver('call.completed', sample, 'CArotating')
    expect(endOf(runs[0])).toBe('Steps for another city')
  })

  test('what is forged, too old or too new is refused with 401, and not remembered', async () => {
    const secret = newSecret()
    const n8n = new N8nStandIn(workflow, secret.text)
    const id = '0198f2a4-0000-7000-8000-000000000001'
    const headersBy = ({ whsec }: { whsec: string }, minutesOff = 0): Record<string, string> => {
      const at = new Date(Date.now() + minutesOff * 60_000)
      const timestamp = String(Math.floor(at.getTime() / 1000))
      const signature = new Webhook(whsec).sign(id, at, sample)
      return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
    }
    const good = headersBy(secret)
    const refused = async (headers: Record<string, string>, body = sample): Promise<string> => {
      const { status, answer } = await n8n.post(headers, Buffer.from(body))
      expect(status).toBe(401)
      return answer
    }
    const notSigned = 'not signed by Callbox'
    expect(await refused(headersBy(newSecret()))).toBe(notSigned)
    expect(await refused(good, sample.replace('Assistant', 'Somebody'))).toBe(notSigned)
    expect(await refused({ ...good, 'webhook-id': `${id}2` })).toBe(notSigned)
    expect(await refused({})).toBe(notSigned)
    for (const signature of ['', 'v1', 'v1,', 'v1,AAAA', good['webhook-signature']?.slice(3) ?? '']) {
      expect(await refused({ ...good, 'webhook-signature': signature })).toBe(notSigned)
    }
    expect(await refused(headersBy(secret, -6))).toBe('the timestamp is more than 5 minutes off')
    expect(await refused(headersBy(secret, 6))).toBe('the timestamp is more than 5 minutes off')
    expect(n8n.tables.size).toBe(0)

    expect((await n8n.post(good, Buffer.from(sample))).status).toBe(200)
  })
})
