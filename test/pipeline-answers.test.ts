import { beforeAll, describe, expect, test } from 'vitest'
import { type Answer, jsonReply } from '../src/demo/scripted-answers.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { chatAnswer, newWords, payloadsOf, reaches, type Stage, setStage } from './helpers/pipeline.ts'

const transcriptions = '/audio/transcriptions'
const chat = '/chat/completions'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
  await stage.start()
})

const completion = (message: object, finish_reason = 'stop') =>
  jsonReply(200, { choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }] })
const plainText = (body: string): Answer => ({ status: 200, headers: { 'content-type': 'text/plain' }, body })

/** What is delivered for a call whose services give these answers. */
async function delivered(answers: { [path: string]: Answer[] }) {
  for (const [path, queued] of Object.entries(answers)) stage.openai.answers.queue(path, ...queued)
  const call = await stage.record(newWords())
  await reaches(database, call, 'completed')
  const [payload = ''] = await payloadsOf(database, call)
  return { call, payload: JSON.parse(payload), asked: stage.askedFor(call) }
}

test('thoughts and packaging are not delivered', async () => {
  const { payload, asked } = await delivered({
    [chat]: [
      chatAnswer('<think>They want a flat.</think>\n\n### A flat in Haifa'),
      chatAnswer('<think>{"city":"Acre"}?</think>Here: ```json\n[{"city":"Haifa","service_category":"rent"}]\n```'),
    ],
  })
  expect(payload).toMatchObject({ summary: '### A flat in Haifa', city: 'Haifa', service_category: 'rent' })
  expect(asked).toMatchObject({ transcript: 1, summary: 1 })
})

test('answers whose media type says something else are read', async () => {
  const { payload } = await delivered({
    [transcriptions]: [plainText('I want a flat.\n')],
    [chat]: [
      plainText('{"choices":[{"message":{"content":"### A flat"},"finish_reason":"stop"}]}'),
      plainText('{"choices":[{"message":{"content":"{\\"city\\":\\"Haifa\\"}"}}]}'),
    ],
  })
  expect(payload).toMatchObject({ transcript: 'I want a flat.', summary: '### A flat', city: 'Haifa' })
})

test('the text of segments counts when the text is empty', async () => {
  const segments = [{ text: ' I want' }, { text: ' a flat.' }]
  const { payload } = await delivered({
    [transcriptions]: [jsonReply(200, { text: '', segments })],
    [chat]: [chatAnswer('### A flat'), chatAnswer('{}')],
  })
  expect(payload).toMatchObject({ transcript: 'I want a flat.', summary: '### A flat', city: '' })
})

test.each(['Thank you for watching!', 'תודה שצפיתם'])('"%s" on silence is no speech', async (text) => {
  const before = stage.openai.requests.filter(({ path }) => path === chat).length
  const { payload } = await delivered({ [transcriptions]: [jsonReply(200, { text })] })
  expect(payload).toMatchObject({ transcript: '', summary: '', city: '', service_category: '' })
  expect(stage.openai.requests.filter(({ path }) => path === chat)).toHaveLength(before)
})

test('a loop is transcribed again', async () => {
  const loop = jsonReply(200, { text: 'I want to go. '.repeat(300) })
  const { call, payload, asked } = await delivered({ [transcriptions]: [loop, loop] })
  expect(payload).toMatchObject({ transcript: call.words.transcript })
  expect(asked).toMatchObject({ transcript: 3, summary: 1 })
})

const summary = '### A call about'
describe('is asked for again', () => {
  test.each([
    ['a summary that is cut off', completion({ content: summary }, 'length')],
    ['a summary that is withheld', completion({ content: summary }, 'content_filter')],
    ['text next to a refusal', completion({ content: summary, refusal: 'I cannot help with that.' })],
    ['text next to tool calls', completion({ content: summary, tool_calls: [{ id: 'a', type: 'function' }] })],
    ['thoughts without an end', chatAnswer('<think>They want')],
  ])('%s', async (_name, answer) => {
    const { call, payload } = await delivered({ [chat]: [answer] })
    expect(payload).toMatchObject({ summary: call.words.summary, city: 'Haifa' })
  })

  test('an extraction that is withheld', async () => {
    const { payload } = await delivered({
      [chat]: [
        chatAnswer('### A flat'),
        completion({ content: '{}' }, 'content_filter'),
        chatAnswer('{"city":"Acre"}'),
      ],
    })
    expect(payload).toMatchObject({ summary: '### A flat', city: 'Acre' })
  })
})

describe('fails its call in the end, and the error names the reason', () => {
  test.each<[string, string, Answer, string]>([
    [
      'a loop',
      transcriptions,
      jsonReply(200, { text: 'I want to go. '.repeat(300) }),
      'repeated one phrase over and over',
    ],
    ['a summary that is cut off', chat, completion({ content: summary }, 'length'), 'finish_reason length'],
    ['a refusal', chat, completion({ content: summary, refusal: 'I cannot.' }), 'answered with a refusal'],
    ['a tool call', chat, completion({ content: '', tool_calls: [{ id: 'a' }] }, 'tool_calls'), 'called a tool'],
  ])('%s', async (_name, path, answer, reason) => {
    stage.openai.answers.always(path, answer)
    const call = await stage.record(newWords())
    const row = await reaches(database, call, 'failed')
    stage.openai.answers.always(path, null)
    expect(row.error).toContain(reason)
    expect(await payloadsOf(database, call)).toEqual([])
  })
})
