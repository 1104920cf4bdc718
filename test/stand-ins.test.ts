import { randomBytes } from 'node:crypto'
import OpenAI, { toFile } from 'openai'
import { Webhook } from 'standardwebhooks'
import twilio from 'twilio'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openAiErrors } from '../src/demo/openai-errors.ts'
import { type OpenAiStandIn, startOpenAiStandIn } from '../src/demo/openai-stand-in.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import type { TwilioCall } from '../src/demo/twilio-call.ts'
import { callStatusParams, recordingStatusParams, signCallback } from '../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn, type TwilioStandIn, twilioNotFound } from '../src/demo/twilio-stand-in.ts'

const account = { accountSid: `AC${'a'.repeat(32)}`, authToken: 'twilio-token' }
const call: TwilioCall = {
  callSid: `CA${'1'.repeat(32)}`,
  recordingSid: `RE${'2'.repeat(32)}`,
  direction: 'inbound',
  from: '+972501234567',
  to: '+97231234567',
  startedAt: new Date('2025-12-10T14:23:19Z'),
  durationSec: 26,
}

describe('the Twilio stand-in', () => {
  let server: TwilioStandIn
  const get = (path: string, token = account.authToken) =>
    fetch(`${server.url}/2010-04-01/Accounts/${account.accountSid}/${path}`, {
      headers: { authorization: `Basic ${Buffer.from(`${account.accountSid}:${token}`).toString('base64')}` },
    })
  beforeAll(async () => {
    server = await startTwilioStandIn(account)
    server.addCall(call)
    server.addRecording(call.recordingSid, Buffer.from('mp3'))
  })
  afterAll(() => server.close())

  test('serves a recording once it is ready, to whom the account belongs', async () => {
    server.answers.queue(call.recordingSid, twilioNotFound, { status: 503 })
    const path = `Recordings/${call.recordingSid}.mp3`
    expect((await get(path, 'wrong')).status).toBe(401)
    expect((await get(path)).status).toBe(404)
    expect((await get(path)).status).toBe(503)
    expect(await (await get(path)).text()).toBe('mp3')
    expect(server.requests.map(({ sid, authorized }) => [sid, authorized])).toEqual([
      [call.recordingSid, false],
      ...Array(3).fill([call.recordingSid, true]),
    ])
  })

  test('serves the Call resource in the shape that the twilio package reads', async () => {
    const answer = await get(`Calls/${call.callSid}.json`)
    const resource = (await answer.json()) as Record<string, unknown>
    expect(resource).toMatchObject({
      sid: call.callSid,
      parent_call_sid: null,
      direction: 'inbound',
      status: 'completed',
      start_time: 'Wed, 10 Dec 2025 14:23:19 +0000',
      end_time: 'Wed, 10 Dec 2025 14:23:45 +0000',
      duration: '26',
    })
    expect((await get('Calls/CA404.json')).status).toBe(404)
  })

  test.each([
    ['call status', callStatusParams(account, call)],
    ['recording status', recordingStatusParams(account, call, 'https://api.twilio.com')],
  ])('signs a %s callback as the twilio package expects, without the connection overrides', (_name, params) => {
    const url = 'https://callbox.example/webhook/x?business_id=7'
    const signed = signCallback(account.authToken, `${url}#rc=5&rp=all`, params)
    expect(signed.url).toBe(url)
    const sent = Object.fromEntries(new URLSearchParams(signed.body))
    const signature = signed.headers['x-twilio-signature'] ?? ''
    expect(twilio.validateRequest(account.authToken, signature, url, sent)).toBe(true)
    expect(twilio.validateRequest('another', signature, url, sent)).toBe(false)
  })
})

describe('the OpenAI stand-in', () => {
  let server: OpenAiStandIn
  let client: OpenAI
  beforeAll(async () => {
    server = await startOpenAiStandIn('sk-test', {
      transcribe: ({ bytes, language }) => (bytes === 0 ? null : `שלום ${language} ${bytes}`),
      chat: ({ messages, schema }) => (schema === null ? `about: ${messages.at(-1)?.text}` : { city: 'בית שאן' }),
    })
    client = new OpenAI({ apiKey: 'sk-test', baseURL: server.baseUrl, maxRetries: 0 })
  })
  afterAll(() => server.close())

  const upload = async (bytes: Buffer) => ({
    file: await toFile(bytes, 'call.mp3'),
    model: 'whisper-1',
    language: 'he',
  })

  test.each(['json', 'verbose_json', 'text'] as const)('transcribes an upload, answering %s', async (format) => {
    const bytes = randomBytes(100_000)
    const answer: unknown = await client.audio.transcriptions.create({
      ...(await upload(bytes)),
      response_format: format,
    })
    const text = typeof answer === 'string' ? answer.trim() : (answer as { text: string }).text
    expect(text).toBe('שלום he 100000')
  })

  test('completes a chat, plain and structured', async () => {
    const messages = [{ role: 'user' as const, content: 'a call' }]
    const plain = await client.chat.completions.create({ model: 'gpt-6-luna', messages })
    expect(plain.choices[0]?.message.content).toBe('about: a call')
    const structured = await client.chat.completions.parse({
      model: 'gpt-6-luna',
      messages,
      response_format: { type: 'json_schema', json_schema: { name: 'facts', schema: { type: 'object' } } },
    })
    expect(structured.choices[0]?.message.parsed).toEqual({ city: 'בית שאן' })
  })

  test('fails as OpenAI does', async () => {
    const speak = async (bytes = Buffer.from('a')) => client.audio.transcriptions.create(await upload(bytes))
    const path = '/audio/transcriptions'
    server.answers.queue(path, openAiErrors.rateLimited(7), openAiErrors.quotaExhausted, openAiErrors.serverError)
    server.answers.queue(path, 'reset')
    await expect(speak()).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    await expect(speak()).rejects.toMatchObject({ status: 429, code: 'insufficient_quota' })
    await expect(speak()).rejects.toMatchObject({ status: 500 })
    await expect(speak()).rejects.toThrow('Connection error')
    await expect(speak(Buffer.alloc(0))).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' })
    const stranger = new OpenAI({ apiKey: 'sk-other', baseURL: server.baseUrl, maxRetries: 0 })
    await expect(stranger.chat.completions.create({ model: 'gpt-6-luna', messages: [] })).rejects.toMatchObject({
      status: 401,
    })
  })
})

describe('the OpenAI stand-in, strict as OpenAI about what its models take,', () => {
  let server: OpenAiStandIn
  let client: OpenAI
  beforeAll(async () => {
    server = await startOpenAiStandIn('sk-test', { transcribe: () => 'words', chat: () => 'an answer' })
    client = new OpenAI({ apiKey: 'sk-test', baseURL: server.baseUrl, maxRetries: 0 })
  })
  afterAll(() => server.close())

  test.each([
    ['gpt-transcribe', { language: 'he' }, 'language'],
    ['gpt-transcribe', { temperature: 0 }, 'temperature'],
    ['gpt-transcribe', { response_format: 'verbose_json' as const }, 'response_format'],
    ['gpt-4o-mini-transcribe', { response_format: 'text' as const }, 'response_format'],
    ['whisper-1', { languages: ['he'] }, 'languages'],
    ['gpt-6-luna', {}, 'model'],
  ])('refuses %s with %o', async (model, parameters, param) => {
    const file = await toFile(Buffer.from('mp3'), 'call.mp3')
    await expect(client.audio.transcriptions.create({ file, model, ...parameters })).rejects.toMatchObject({ param })
  })

  test.each([
    ['gpt-4o-mini', 'low' as const, 'unsupported_parameter'],
    ['gpt-5-mini', 'none' as const, 'unsupported_value'],
    ['gpt-6-luna', 'minimal' as const, 'unsupported_value'],
    ['gpt-7', 'none' as const, 'model_not_found'],
  ])('refuses %s with the effort %s', async (model, effort, code) => {
    const asked = client.chat.completions.create({ model, reasoning_effort: effort, messages: [] })
    await expect(asked).rejects.toMatchObject({ code })
  })

  test('tells when a model shuts down', async () => {
    expect(await client.models.retrieve('gpt-5-mini')).toMatchObject({ id: 'gpt-5-mini', shutdown_date: '2026-12-11' })
    expect((await client.models.retrieve('gpt-6-luna')).shutdown_date).toBeNull()
    await expect(client.models.retrieve('gpt-7')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })
})

describe('the receiver', () => {
  let server: Receiver
  const secret = `whsec_${randomBytes(24).toString('base64')}`
  beforeAll(async () => {
    server = await startReceiver()
  })
  afterAll(() => server.close())

  const send = (url: string, body: string, key = secret) => {
    const now = new Date()
    const headers = {
      'webhook-id': 'msg_1',
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(key).sign('msg_1', now, body),
    }
    return fetch(url, { method: 'POST', body, headers })
  }

  test('keeps what came, verified or not, and what it answered', async () => {
    const url = server.endpoint('/shop', secret)
    server.answers.queue('/shop', { status: 500, body: 'broken' })
    expect((await send(url, '{"a":"é"}')).status).toBe(500)
    expect((await send(url, '{"a":"é"}')).status).toBe(200)
    const other = `whsec_${randomBytes(24).toString('base64')}`
    expect((await send(url, '{"a":"é"}', other)).status).toBe(401)
    expect(server.posts.map(({ path, webhookId, verified, answer }) => [path, webhookId, verified, answer])).toEqual([
      ['/shop', 'msg_1', true, 500],
      ['/shop', 'msg_1', true, 200],
      ['/shop', 'msg_1', false, 401],
    ])
    expect(server.posts[0]?.body.toString('utf8')).toBe('{"a":"é"}')
  })

  test('hangs until told, and cuts', async () => {
    const url = server.endpoint('/slow', secret)
    server.answers.queue('/slow', 'hang', 'reset')
    const waiting = send(url, '{}')
    await expect.poll(() => server.answers.hanging).toBe(1)
    server.answers.release({ status: 204 })
    expect((await waiting).status).toBe(204)
    await expect(send(url, '{}')).rejects.toThrow('fetch failed')
  })
})
