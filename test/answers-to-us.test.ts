import { describe, expect, test } from 'vitest'
import { parseJson } from '../src/pipeline/answers/answer-body.ts'
import { readChatAnswer } from '../src/pipeline/answers/chat-answer.ts'
import { readFactsAnswer } from '../src/pipeline/answers/facts-answer.ts'
import { isLoop } from '../src/pipeline/answers/loop.ts'
import { isNoSpeech } from '../src/pipeline/answers/no-speech.ts'
import { readSummaryAnswer } from '../src/pipeline/answers/summary-answer.ts'
import { readTranscriptionAnswer } from '../src/pipeline/answers/transcription-answer.ts'

const body = (value: unknown, type = 'application/json') => {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return { type, text, json: parseJson(text) }
}
const completion = (message: object, finish_reason: string | null = 'stop') =>
  body({ choices: [{ index: 0, message, finish_reason }] })

describe('a chat completion', () => {
  test.each([
    ['as OpenAI sends it', completion({ content: 'words', refusal: null, annotations: [] })],
    ['with nothing but the text', completion({ content: 'words' }, null)],
    ['with empty lists of tools', completion({ content: 'words', tool_calls: [], function_call: null })],
    ['with thoughts in a field of their own', completion({ content: 'words', reasoning_content: 'hm' })],
    [
      'in parts',
      completion({
        content: [
          { type: 'text', text: 'wor' },
          { type: 'text', text: 'ds' },
        ],
      }),
    ],
    ['called plain text', { ...completion({ content: 'words' }), type: 'text/plain' }],
  ])('%s is read', (_name, answer) => {
    expect(readChatAnswer(answer)).toBe('words')
  })

  test.each([
    ['length', completion({ content: '### A call about' }, 'length'), /cut off \(finish_reason length\)/],
    ['max_tokens', completion({ content: '### A call about' }, 'MAX_TOKENS'), /cut off \(finish_reason max_tokens\)/],
    ['content_filter', completion({ content: '### A' }, 'content_filter'), /withheld \(finish_reason content_filter\)/],
    ['content_filter, with facts', completion({ content: '{}' }, 'content_filter'), /finish_reason content_filter/],
    ['a refusal', completion({ content: null, refusal: 'I cannot' }), /answered with a refusal/],
    ['text next to a refusal', completion({ content: '### A', refusal: 'I cannot' }), /answered with a refusal/],
    ['a refusal in parts', completion({ content: [{ type: 'refusal', refusal: 'I' }] }), /answered with a refusal/],
    ['tool calls', completion({ content: null, tool_calls: [{ id: 'a' }] }, 'tool_calls'), /called a tool.*tool_calls/],
    [
      'text next to tool calls',
      completion({ content: '### A', tool_calls: [{ id: 'a' }] }),
      /called a tool.*tool_calls/,
    ],
    ['text next to a function call', completion({ content: '### A', function_call: { name: 'a' } }), /called a tool/],
    ['no text', completion({ content: '' }), /it is empty/],
    ['thoughts alone', completion({ content: null, reasoning_content: 'hm' }), /it is empty/],
    ['no choices', body({ choices: [] }), /gave no answer/],
    ['an error inside', body({ error: { code: 'overloaded', message: 'a secret' } }), /an error \(overloaded\)$/],
    ['no JSON', body('Internal error', 'text/plain'), /gave no answer/],
  ])('%s is of no use, and the reason is named', (_name, answer, reason) => {
    expect(() => readChatAnswer(answer)).toThrow(reason)
  })
})

const answer = '### Inquiry\nA flat in Haifa, {"3 rooms"} <b>now</b>.'

describe('thoughts are never delivered', () => {
  test.each([
    ['in front', `<think>The caller wants…</think>\n\n${answer}`],
    ['of several lines', `<think>\nFirst\n\n# Second\n</think>\n${answer}\n`],
    ['in capitals', `<THINK>hm</THINK>${answer}`],
    ['called thinking', `<thinking>hm</thinking>\n${answer}`],
    ['called reasoning, with an attribute', `<reasoning effort="low">hm</reasoning>\n${answer}`],
    ['called antThinking', `<antThinking>hm</antThinking>${answer}`],
    ['of Seed', `<seed:think>hm</seed:think>${answer}`],
    ['of Magistral', `[THINK]hm[/THINK]${answer}`],
    ['of Kimi', `◁think▷hm◁/think▷${answer}`],
    ['between special tokens', `<|begin_of_thought|>hm<|end_of_thought|>\n${answer}`],
    ['in a channel', `<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>${answer}`],
    ['escaped', `&lt;think&gt;hm&lt;/think&gt;\n${answer}`],
    ['in a fence', `\`\`\`thinking\nhm\n\`\`\`\n${answer}`],
    ['of several blocks', `<think>a</think>${answer}<think>b</think>`],
    ['within each other', `<think>a <think>b</think> c</think>${answer}`],
    ['that mention a tag', `<think>I may not use <think> here</think>${answer}`],
    ['with an end of another name', `<think>hm</thinking>${answer}`],
    ['with an end that lacks its bracket', `<think>\nhm\n</think\n${answer}`],
    ['that the prompt began', `The caller wants a flat.\n</think>\n\n${answer}`],
    ['that end the answer and are not ended', `${answer}\n<think>Was that right?`],
    ['that are empty', `<think></think>${answer}`],
    ['closed in themselves', `<think/>${answer}`],
    ['with JSON', `<think>{"city":"draft"}</think>${answer}`],
    ['in braces', `{think}hm{/think}${answer}`],
    ['called cot', `<cot>hm</cot>${answer}`],
    ['called deep_thinking_step', `<deep_thinking_step>hm</deep_thinking_step>${answer}`],
    ['of Gemma', `<|channel>thought\nhm<channel|>${answer}`],
    ['of Gemma, in reserved tokens', `<unused94>thought\nhm<unused95>${answer}`],
    ['of Command A', `<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>${answer}<|END_RESPONSE|>`],
    ['of GLM', `<think>hm</think>\n<|begin_of_box|>${answer}<|end_of_box|>`],
    ['of EXAONE', `<thought>hm</thought>\n[|assistant|]${answer}`],
    ['of Granite', `Here is my thought process:\nhm\n\nHere is my response:\n${answer}`],
    ['under a heading', `**Thinking:** hm\n\n**Answer:**\n${answer}`],
    ['of Ollama', `Thinking...\nhm\n...done thinking.\n\n${answer}`],
    ['folded up', `<details type="reasoning" done="true"><summary>Thought for 3 s</summary>hm</details>\n${answer}`],
    ['called a plan', `<plan>hm</plan>${answer}`],
    ['in a tag of any name', `<my_notes for="me">hm</my_notes>\n<draft>hm</draft>\n${answer}`],
    ['before an answer tag', `Let me see.\n<answer>${answer}</answer>`],
  ])('%s', (_name, text) => {
    expect(readSummaryAnswer(text)).toBe(answer)
  })

  test.each([
    ['that are not ended', '<think>The caller wants a flat in Haifa.'],
    ['and nothing else', '<think>The caller wants a flat.</think>\n'],
    ['in a channel of their own', '<|channel|>analysis<|message|>The caller wants a flat.'],
  ])('%s', (_name, text) => {
    expect(() => readSummaryAnswer(text)).toThrow('gave thoughts and no answer')
  })
})

describe('a summary', () => {
  test.each([
    ['as it should be', ` ${answer}\n`, ` ${answer}\n`],
    ['in HTML', '<p>A flat</p><p>in Haifa</p>', '<p>A flat</p><p>in Haifa</p>'],
    ['with headings of its own', '### Reason\nRent\n### Response: none\n', '### Reason\nRent\n### Response: none\n'],
    ['that speaks of thinking', '### I think <b>so</b>, 3 < thoughts\n', '### I think <b>so</b>, 3 < thoughts\n'],
    ['in a fence', `\`\`\`markdown\n${answer}\n\`\`\``, answer],
    ['in an answer tag', `<think>a</think><answer>\n${answer}</answer>`, `\n${answer}`],
    ['in JSON', JSON.stringify({ summary: answer }), answer],
    ['in JSON in a fence', `\`\`\`json\n${JSON.stringify({ text: answer, language: 'en' })}\n\`\`\``, answer],
    ['in an array', JSON.stringify([answer]), answer],
    ['as a JSON string', JSON.stringify(answer), answer],
    ['with a fence inside', '### A\n```\ncode\n```\n', '### A\n```\ncode\n```\n'],
  ])('%s is read', (_name, text, summary) => {
    expect(readSummaryAnswer(text)).toBe(summary)
  })

  test('in JSON of another form, or in a loop, is unusable', () => {
    expect(() => readSummaryAnswer('{"type":"call","rooms":3}')).toThrow('of the form that was asked for')
    expect(() => readSummaryAnswer(`### A\n${'A flat in Haifa. '.repeat(300)}`)).toThrow('repeated one phrase')
  })
})

describe('facts', () => {
  const facts = { city: 'Haifa', service_category: 'rent' }
  const json = JSON.stringify(facts)
  test.each([
    ['as they should be', json],
    ['in a fence', `\`\`\`json\n${json}\n\`\`\``],
    ['in a fence without its name, after prose', `Here you are:\n\`\`\`\n${json}\n\`\`\`\nAnything else?`],
    ['after prose', `The city is {Haifa}, so: ${json}`],
    ['after a draft', `First {"city":"Acre","service_category":"rent"}, then ${json}.`],
    ['after thoughts', `<think>Is it {"city":"Acre","service_category":"rent"}?</think>${json}`],
    ['after thoughts that are not ended', `<think>It says Haifa.\n\n${json}\n`],
    ['in an array', `[${json}]`],
    ['in an array after prose', `Result: [${json}]`],
    ['wrapped', JSON.stringify({ call_facts: facts })],
    ['wrapped twice, beside other keys', JSON.stringify({ id: 1, result: { data: [facts] } })],
    ['as JSON in a string', JSON.stringify(json)],
    ['indented, with more keys', JSON.stringify({ reason: 'it says so', ...facts }, null, 2)],
    ['with a comma too many', '{"city": "Haifa", "service_category": "rent",}'],
    ['as Python prints them', "{'city': 'Haifa', 'service_category': 'rent', 'rooms': None}"],
    ['with keys spelled otherwise', '{"City": "Haifa", "serviceCategory": "rent"}'],
    ['in letters of another case', JSON.stringify({ ...facts, service_category: ' Rent' })],
  ])('%s are read', (_name, text) => {
    expect(readFactsAnswer(text, ['sale', 'rent'])).toEqual(facts)
  })

  test('with braces and quotes in their strings are read', () => {
    const odd = { city: 'H}{"a', service_category: '```\\' }
    expect(readFactsAnswer(`So: ${JSON.stringify(odd)} }`, [])).toEqual(odd)
  })

  test.each([
    '{}',
    '{"city":null}',
    '{"city":"","service_category":""}',
    '{"city":"Unknown","service_category":"N/A"}',
    '{"city":"not mentioned","service_category":"none"}',
  ])('%s says that nothing is known', (text) => {
    expect(readFactsAnswer(text, ['rent'])).toEqual({ city: '', service_category: '' })
  })

  test.each([
    ['none', 'I found nothing.'],
    ['another category', '{"city":"Haifa","service_category":"purchase"}'],
    ['an error', '{"error":"overloaded"}'],
    ['no text', '{"city":["Haifa"],"service_category":7}'],
    ['JSON that is cut off', '{"city":"Haifa","service_cat'],
    ['a draft in thoughts', '<think>Is it {"city":"Acre","service_category":"rent"} or not?'],
  ])('%s: of no use', (_name, text) => {
    expect(() => readFactsAnswer(text, ['sale', 'rent'])).toThrow('of the form that was asked for')
  })

  // A search that starts over at each brace would outlast the test's own limit.
  test('a text of a million braces is searched once, not once for each', () => {
    expect(() => readFactsAnswer('{"'.repeat(1_000_000), [])).toThrow()
  })
})

describe('a transcription', () => {
  const segments = [
    { start: 0, text: ' I want' },
    { start: 1, text: ' a flat.' },
  ]
  test.each([
    ['as OpenAI sends it', body({ text: 'I want a flat.', languages: [{ code: 'en' }], usage: { seconds: 4 } })],
    ['whose text is empty although segments have some', body({ text: '', segments })],
    ['whose text is missing', body({ text: null, segments, duration: 3 })],
    ['of segments without blanks', body({ segments: [{ text: 'I want' }, { text: 'a flat.' }] })],
    ['of words', body({ text: '', words: ['I', 'want', 'a', 'flat.'].map((word) => ({ word })) })],
    ['of chunks', body({ text: ' ', chunks: segments })],
    ['of segments alone', body(segments)],
    ['in plain text', body('I want a flat.\n', 'text/plain')],
    ['in plain text that is called JSON', body('I want a flat.\n')],
    ['in JSON that is called plain text', body('{"text":"I want a flat."}', 'text/plain')],
    ['as a JSON string', body('"I want a flat."')],
    ['in an array', body([{ text: 'I want a flat.' }])],
    ['in JSON within JSON', body({ text: '{"text":"I want a flat.","usage":null}' })],
    ['under another name', body({ transcript: 'I want a flat.' })],
    ['without a content type', body('I want a flat.', '')],
  ])('%s is read', (_name, answered) => {
    expect(readTranscriptionAnswer(answered)).toBe('I want a flat.')
  })

  test.each([
    ['a text with braces', '{"a": 1} is what I said'],
    ['a number', '1234'],
    ['blanks around it', ' I want a flat. '],
  ])('%s stays as it was said', (_name, text) => {
    expect(readTranscriptionAnswer(body({ text }))).toBe(text)
  })

  test.each([
    ['a web page', body('<!DOCTYPE html><html>Sign in</html>', 'text/plain'), 'web page'],
    ['another web page', body('Sign in', 'text/html'), 'web page'],
    ['a stream', body('data: {"type":"transcript.text.delta"}', 'text/event-stream'), 'stream of events'],
    ['broken JSON', body('{"text":"I want'), 'JSON that is broken'],
    ['nothing', body(''), 'answered with nothing'],
    ['no text', body({ task: 'transcribe' }), 'without a text'],
    ['null', body({ text: null }), 'without a text'],
    ['an error', body({ error: { type: 'overloaded_error', message: 'a secret' } }), 'an error (overloaded_error)'],
    ['a phrase 300 times', body({ text: 'I want to go. '.repeat(300) }), 'repeated one phrase over and over'],
  ])('%s is of no use, and the reason is named', (_name, answered, reason) => {
    expect(() => readTranscriptionAnswer(answered)).toThrow(reason)
  })

  test.each([
    ['an empty text', body({ text: '' })],
    ['empty plain text', body('', 'text/plain')],
    ['no segments', body({ text: '', segments: [] })],
    ['an invention', body({ text: 'Thank you for watching!' })],
    ['an invention in segments', body({ text: '', segments: [{ text: ' Thank you for watching!' }] })],
    ['"thank you" in half a minute', body({ text: 'Thank you.', usage: { type: 'duration', seconds: 30 } })],
    [
      'a guess',
      body({ text: 'Hello Mary', segments: [{ text: 'Hello Mary', no_speech_prob: 0.9, avg_logprob: -1.4 }] }),
    ],
  ])('%s is no speech', (_name, answered) => {
    expect(readTranscriptionAnswer(answered)).toBe('')
  })
})

describe('no speech', () => {
  test.each([
    ...[
      'Thank you for watching!',
      'Thanks for watching. Please subscribe!',
      'THANK YOU FOR WATCHING',
      'you',
      '...',
      '♪♪',
    ],
    ...[
      'Thank you for watching! '.repeat(300),
      'Thank you. Thanks for watching. Bye!',
      '[Music]',
      '(upbeat music)',
      '*beep*',
    ],
    ...['Subtitles by the Amara.org community', 'Transcribed by https://otter.ai', '<|nospeech|>', '🎵 la la 🎵'],
    ...[
      'תודה שצפיתם!',
      'תודה רבה על הצפייה.',
      'תּוֹדָה שֶׁצְּפִיתֶם',
      'כתוביות: אלעד שם טוב',
      'תורגם על ידי קהילת עמרה',
      '[מוזיקה]',
    ],
    ...[
      'اشتركوا في القناة',
      'ترجمة نانسي قنقر',
      'شكرًا على المشاهدة',
      'Субтитры сделал DimaTorzok',
      'Продолжение следует...',
    ],
    ...['Редактор субтитров А. Синецкая Корректор А. Егорова', 'Спасибо за просмотр!', 'Дякую за перегляд!'],
    ...[
      'Untertitelung des ZDF, 2020',
      'Vielen Dank fürs Zuschauen!',
      "Sous-titres réalisés par la communauté d'Amara.org",
    ],
    ...[
      "Sous-titrage ST' 501",
      "Merci d'avoir regardé cette vidéo !",
      '¡Gracias por ver el vídeo!',
      '¡Suscríbete al canal!',
    ],
    ...[
      'Legendas pela comunidade Amara.org',
      'Sottotitoli e revisione a cura di QTSS',
      'Napisy stworzone przez społeczność Amara.org',
    ],
    ...['Ondertitels ingediend door de Amara.org gemeenschap', 'İzlediğiniz için teşekkürler.', 'Altyazı M.K.'],
    ...[
      'ご視聴ありがとうございました',
      'チャンネル登録をお願いいたします',
      '시청해주셔서 감사합니다!',
      '请不吝点赞 订阅 转发 打赏支持明镜与点点栏目',
    ],
    ...['धन्यवाद देखने के लिए', 'ধন্যবাদ দেখার জন্য', 'Aitäh vaatamast!', 'Ačiū, kad žiūrėjote', 'Хвала што пратите'],
    ...['Շնորհակալություն դիտելու համար', 'გმადლობთ ყურებისთვის', 'Asante kwa kutazama.', '(Musik spielt)'],
    ...['字幕由Amara.org社区提供', 'Tack för att ni tittade.', 'Terima kasih telah menonton!'],
  ])('%s', (text) => {
    expect(isNoSpeech(text, null)).toBe(true)
  })

  test.each([
    ...[
      'Hello, this is Dana. Thank you for watching the flat for us.',
      'Hello? Thanks for watching!',
      'Thank you.',
      'Bye.',
    ],
    ...[
      'You called me yesterday',
      'תודה רבה.',
      'שלום',
      'אני צריך תרגום: חוזה שכירות לאנגלית',
      'Hello [inaudible] flat',
      '12345',
    ],
    ...[
      '(I want to rent a flat)',
      'I subscribe to your newsletter and want to cancel',
      'Music lessons for my son, please',
    ],
    ...[
      'Altyazı siparişi vermek istiyorum',
      'Sous-titrage de mon film, combien ça coûte ?',
      'Translated by whom? I would like to have my birth certificate translated by the end of this week, please',
    ],
  ])('not: %s', (text) => {
    expect(isNoSpeech(text, 5)).toBe(false)
  })

  test('politeness alone is speech in a short recording and none in a long one', () => {
    expect([isNoSpeech('תודה רבה. תודה רבה.', 4), isNoSpeech('תודה רבה. תודה רבה.', 25)]).toEqual([false, true])
    expect(isNoSpeech('Okay. Yeah. Okay, thank you. Bye.', 25)).toBe(false)
  })

  // Trying each division would outlast the test's own limit.
  test('phrases that can be divided in many ways are divided once', () => {
    expect(isNoSpeech(`${'Bye bye. '.repeat(3_000)}Dana`, 60)).toBe(false)
  })
})

describe('a loop', () => {
  test.each([
    ['a phrase', 'I want to go. '.repeat(300)],
    ['a word', 'כן '.repeat(300)],
    ['after speech', `Hello, this is Dana from the bank, I call about the flat. ${'Thank you. '.repeat(60)}`],
    ['before speech', `${'so, '.repeat(100)} and that is what I wanted to say about all of it`],
    [
      'in a long conversation',
      `${Array.from({ length: 500 }, (_, at) => `word${at}`).join(' ')} ${'Thank you. '.repeat(60)}`,
    ],
    ['without blanks', 'ありがとう'.repeat(60)],
    ['of letters', `Hello ${'a'.repeat(500)}`],
    ['of two sentences in turn', 'Is it there? It is not there. '.repeat(30)],
    ['with other punctuation each time', Array.from({ length: 60 }, (_, i) => `Go on${'.,!?'[i % 4]}`).join(' ')],
  ])('%s', (_name, text) => {
    expect(isLoop(text)).toBe(true)
  })

  test.each([
    ['hello?', 'Hello? '.repeat(12)],
    ['laughter', 'ha'.repeat(25)],
    ["a queue's announcement", `${'Your call is important to us, please hold. '.repeat(15)}`],
    ['a long word', 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'],
    ['digits', 'My number is 0 5 0 0 0 0 0 0 0 0'],
    ['a conversation', 'yes no maybe so I do not know what you mean by that '.repeat(8)],
  ])('not: %s', (_name, text) => {
    expect(isLoop(text)).toBe(false)
  })

  test('is not found in hours of speech, however long the search might be', () => {
    const words = Array.from({ length: 60_000 }, (_, at) => `w${(at * 7_919) % 10_007}`).join(' ')
    expect(isLoop(words)).toBe(false)
  })
})
