import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type LoopbackServer, startLoopbackServer } from '../src/demo/loopback-server.ts'
import { jsonReply, type Reply, sendReply } from '../src/demo/scripted-answers.ts'
import { judgeFailure } from '../src/pipeline/fault-table.ts'
import { longFetch } from '../src/pipeline/long-fetch.ts'
import type { ModelStep } from '../src/pipeline/outcome.ts'
import { readFailure, ServiceClient, type ServiceFailure } from '../src/pipeline/service-failure.ts'

let server: LoopbackServer
let reply: Reply
beforeAll(async () => {
  server = await startLoopbackServer(async (request, response) => {
    for await (const _ of request);
    sendReply(response, reply)
  })
})
afterAll(() => server.close())

/** How the client interprets this answer. */
async function failureOf(answer: Reply, baseURL = `${server.url}/v1`): Promise<ServiceFailure> {
  reply = answer
  const client = new ServiceClient({ apiKey: 'sk-key', baseURL, maxRetries: 0, fetch: longFetch, logLevel: 'off' })
  const asked = client.chat.completions.create({ model: 'model', messages: [] })
  return readFailure(
    await asked.then(
      () => expect.unreachable('it was answered'),
      (error: unknown) => error,
    ),
  )
}

const openAi = (status: number, message: string, code: string | null = null, param: string | null = null): Reply =>
  jsonReply(status, { error: { message, type: 'invalid_request_error', param, code } })
const fastApi = (...loc: (string | number)[]): Reply =>
  jsonReply(422, { detail: [{ type: 'string_type', loc, msg: 'Input should be a valid string', input: 7 }] })
const page = (status: number): Reply => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: `<html><head><title>${status}</title></head><body><center>nginx</center></body></html>`,
})
const missingFile = { detail: [{ type: 'missing', loc: ['body', 'file'], msg: 'Field required' }] }

type Case = [name: string, step: ModelStep, reply: Reply, advice: RegExp]

describe('settings, for any call', () => {
  test.each<Case>([
    ['a wrong key', 'transcript', openAi(401, 'Incorrect API key', 'invalid_api_key'), /set OPENAI_API_KEY/],
    ['a key without rights', 'summary', openAi(403, 'no access'), /set OPENAI_API_KEY/],
    ['no credit', 'summary', jsonReply(402, { error: { message: 'Insufficient balance' } }), /add credit/],
    ['a quota', 'summary', openAi(429, 'exceeded', 'insufficient_quota'), /add credit/],
    ['a hard limit', 'summary', openAi(400, 'hard limit', 'billing_hard_limit_reached'), /add credit/],
    ['400 model_not_found', 'transcript', openAi(400, 'no', 'model_not_found'), /set OPENAI_TRANSCRIBE_MODEL/],
    ['404 model_not_found', 'summary', openAi(404, 'no', 'model_not_found', 'model'), /set OPENAI_SUMMARY_MODEL/],
    ['400 with param model', 'summary', openAi(400, 'no', null, 'model'), /set OPENAI_SUMMARY_MODEL/],
    ['a model in words', 'transcript', openAi(400, 'The model `x` does not exist'), /set OPENAI_TRANSCRIBE_MODEL/],
    ['a retired model', 'summary', openAi(400, 'gone', 'model_decommissioned'), /set OPENAI_SUMMARY_MODEL/],
    [
      'an Ollama without the model',
      'summary',
      jsonReply(404, { error: "model 'x' not found" }),
      /OPENAI_SUMMARY_MODEL/,
    ],
    [
      '400 with param response_format',
      'extraction',
      openAi(400, 'no', null, 'response_format'),
      /check OPENAI_BASE_URL/,
    ],
    ['FastAPI 422 about the model', 'transcript', fastApi('body', 'model'), /set OPENAI_TRANSCRIBE_MODEL/],
    ['FastAPI 422 about a message', 'summary', fastApi('body', 'messages', 0, 'content'), /check OPENAI_BASE_URL/],
    ['FastAPI 422 without the file', 'transcript', jsonReply(422, missingFile), /check OPENAI_BASE_URL/],
    ['FastAPI 422 about the file', 'transcript', fastApi('body', 'file'), /check OPENAI_BASE_URL/],
    ["a proxy's 413", 'transcript', page(413), /client_max_body_size/],
    [
      "a proxy's 413 in JSON",
      'transcript',
      jsonReply(413, { error: 'request entity too large' }),
      /client_max_body_size/,
    ],
    [
      "a proxy's 413 as an error object",
      'summary',
      jsonReply(413, { error: { message: 'Payload Too Large', type: 'entity.too.large' } }),
      /client_max_body_size/,
    ],
    ["a firewall's 403", 'summary', page(403), /proxy or a firewall/],
    ['a country', 'summary', openAi(403, 'no', 'unsupported_country_region_territory'), /not offered from here/],
    [
      "Google's wrong key",
      'summary',
      jsonReply(400, [{ error: { code: 400, message: 'API key not valid.' } }]),
      /API_KEY/,
    ],
    [
      "LiteLLM's unknown model",
      'summary',
      jsonReply(400, { error: { message: 'Invalid model name', type: 'None', param: 'None', code: '400' } }),
      /HTTP 400: it does not offer this model: set OPENAI_SUMMARY_MODEL/,
    ],
    [
      "LiteLLM's budget",
      'summary',
      jsonReply(400, { error: { message: 'over', type: 'budget_exceeded', param: null, code: '400' } }),
      /add credit/,
    ],
    [
      "a gateway's 413",
      'transcript',
      jsonReply(413, { message: 'Request size limit exceeded' }),
      /client_max_body_size/,
    ],
    ["a proxy's 400", 'transcript', page(400), /a proxy or something else/],
    ["a proxy's 400 in plain text", 'summary', { status: 400, body: 'Bad Request' }, /a proxy or something else/],
    ['a bare 415', 'transcript', { status: 415 }, /not a model service/],
    ['415 without a word about the audio', 'transcript', jsonReply(415, { detail: 'Unsupported Media Type' }), /proxy/],
    ['405', 'summary', jsonReply(405, { detail: 'Method Not Allowed' }), /not a model service/],
    ['407', 'summary', page(407), /a proxy requires authentication/],
    ['a redirect without end', 'summary', { status: 307, headers: { location: '/v1/chat/completions' } }, /correct it/],
    ['410', 'summary', openAi(410, 'gone'), /correct OPENAI_BASE_URL/],
    ['421', 'summary', { status: 421 }, /not a model service/],
    ['418', 'summary', { status: 418 }, /a proxy or something else/],
    ['451', 'summary', page(451), /not offered from here/],
    ['501', 'transcript', openAi(501, 'not implemented'), /not a model service/],
    ['a redirect that cannot be followed', 'summary', { status: 304 }, /set OPENAI_BASE_URL to the target/],
    ['a 400 that says nothing', 'summary', openAi(400, 'Bad request'), /check OPENAI_BASE_URL/],
    ['a web page', 'summary', { ...page(200), status: 200 }, /no trusted server answers/],
    [
      'an unsuitable temperature',
      'summary',
      openAi(400, 'no', 'unsupported_value', 'temperature'),
      /parameter temperature/,
    ],
  ])('%s', async (_name, step, answer, advice) => {
    const { fault, error } = judgeFailure(await failureOf(answer), step)
    expect({ fault, error }).toEqual({ fault: 'settings', error: expect.stringMatching(advice) })
  })

  test('an address without an answer is an outage, one that does not exist is a setting', async () => {
    const closed = await startLoopbackServer(() => undefined)
    await closed.close()
    const refused = judgeFailure(await failureOf({ status: 200 }, closed.url), 'summary')
    expect(refused).toMatchObject({ fault: 'outage', error: expect.stringContaining('(ECONNREFUSED)') })
    const unknown = judgeFailure(await failureOf({ status: 200 }, 'http://callbox.invalid'), 'summary')
    expect(unknown).toMatchObject({ fault: 'settings', error: expect.stringContaining('correct it') })
    const tls = judgeFailure(await failureOf({ status: 200 }, server.url.replace('http:', 'https:')), 'summary')
    expect(tls).toMatchObject({ fault: 'settings', error: expect.stringContaining('correct it') })
  })
})

describe('the service', () => {
  test.each<[string, Reply, string, number | undefined]>([
    ['500', openAi(500, 'oops'), 'outage', undefined],
    ['502 of a proxy', page(502), 'outage', undefined],
    ['408', { status: 408 }, 'outage', undefined],
    ['409', openAi(409, 'conflict'), 'outage', undefined],
    ['503 with Retry-After', { status: 503, headers: { 'retry-after': '60' } }, 'rate limit', 60_000],
    ['429', openAi(429, 'slow down', 'rate_limit_exceeded'), 'rate limit', undefined],
    ['429 with seconds', { status: 429, headers: { 'retry-after': '1.5' } }, 'rate limit', 1_500],
    [
      '429 with milliseconds',
      { status: 429, headers: { 'retry-after-ms': '250', 'retry-after': '9' } },
      'rate limit',
      250,
    ],
    [
      "429 with a date, by the server's own clock",
      {
        status: 429,
        headers: { date: 'Tue, 01 Dec 2020 10:00:00 GMT', 'retry-after': 'Tue, 01 Dec 2020 10:01:00 GMT' },
      },
      'rate limit',
      60_000,
    ],
    [
      '429 with a date that cannot be read',
      { status: 429, headers: { 'retry-after': 'soon' } },
      'rate limit',
      undefined,
    ],
    ['Too many tokens, as Bedrock says it', openAi(429, 'Too many tokens, please wait'), 'rate limit', undefined],
  ])('%s', async (_name, answer, fault, retryAfterMs) => {
    const failure = await failureOf(answer)
    expect(judgeFailure(failure, 'summary').fault).toBe(fault)
    expect(failure.retryAfterMs).toBe(retryAfterMs)
  })
})

describe("this call's content", () => {
  test.each<[string, ModelStep, Reply, string]>([
    [
      'an invalid format',
      'transcript',
      openAi(400, "Invalid file format. Supported formats: ['flac', 'mp3']"),
      'audio',
    ],
    [
      'a file that is corrupt',
      'transcript',
      openAi(400, 'Audio file might be corrupted or unsupported', 'invalid_value', 'file'),
      'audio',
    ],
    ['a file that is not decoded', 'transcript', openAi(400, 'The audio file could not be decoded.'), 'audio'],
    ['a file that is refused without a word', 'transcript', openAi(400, 'no', 'invalid_value', 'file'), 'audio'],
    ['a 415 about the file', 'transcript', jsonReply(415, { detail: 'Unsupported file type' }), 'audio'],
    ['a 500 that names ffmpeg', 'transcript', jsonReply(500, { detail: 'Failed to load audio: ffmpeg' }), 'audio'],
    ['audio that is too short', 'transcript', openAi(400, 'too short', 'audio_too_short', 'file'), 'silence'],
    [
      'a minimum length',
      'transcript',
      openAi(400, 'Audio file is too short. Minimum audio length is 0.1 seconds.'),
      'silence',
    ],
    ['no speech', 'transcript', openAi(422, 'No speech detected in the audio'), 'silence'],
    [
      'audio that is too long',
      'transcript',
      openAi(400, 'audio duration 1500 seconds is longer than 1400 seconds'),
      'call',
    ],
    ["the service's own 413", 'transcript', openAi(413, 'Maximum content size limit (26214400) exceeded'), 'call'],
    ['a full context', 'summary', openAi(400, 'reduce the length', 'context_length_exceeded', 'messages'), 'call'],
    [
      'a request over the limit of a minute',
      'summary',
      openAi(429, 'Request too large for gpt in organization'),
      'call',
    ],
    ['a filter', 'summary', openAi(400, 'The response was filtered', 'content_filter'), 'answer'],
    ['JSON that the model did not get right', 'extraction', openAi(400, 'Failed', 'json_validate_failed'), 'answer'],
    ['a moderation', 'extraction', openAi(403, 'Your input was flagged'), 'answer'],
  ])('%s', async (_name, step, answer, fault) => {
    expect(judgeFailure(await failureOf(answer), step).fault).toBe(fault)
  })

  test('is never repeated in the sentence', async () => {
    const words = 'the caller said +972501234567'
    const failure = await failureOf(openAi(400, words, words, words))
    expect(judgeFailure(failure, 'summary').error).not.toContain('caller')
  })
})
