import { z } from 'zod'
import { storableText } from '../outcome.ts'
import { type AnswerBody, parseJson } from './answer-body.ts'
import { isLoop } from './loop.ts'
import { isNoSpeech } from './no-speech.ts'
import { harmlessName, UnusableAnswer } from './unusable-answer.ts'

const optionalText = z.string().nullish().catch(null)
const seconds = z.number().positive().nullish().catch(null)
const segment = z.object({
  text: optionalText,
  word: optionalText,
  no_speech_prob: z.number().optional().catch(undefined),
  avg_logprob: z.number().optional().catch(undefined),
})
type Segment = z.infer<typeof segment>
const segments = z.array(segment).nullish().catch(null)
const transcription = z.object({
  text: optionalText,
  transcript: optionalText,
  transcription: optionalText,
  segments,
  chunks: segments,
  words: segments,
  duration: seconds,
  usage: z.object({ seconds }).nullish().catch(null),
  error: z.unknown().optional(),
})

interface Heard {
  text: string
  /** Of the audio; `null`: not told. */
  seconds: number | null
  segments: Segment[]
}

/**
 * The transcript in an answer, which is JSON or plain text whatever its headers say; `''` for no speech, including
 * invented text.
 *
 * @throws {UnusableAnswer} for an answer without a text, and for a loop.
 */
export function readTranscriptionAnswer(body: AnswerBody): string {
  const heard = body.json === undefined ? heardInText(body) : heardIn(body.json)
  const text = storableText(heard.text)
  if (isNoSpeech(text, heard.seconds) || isSilent(heard.segments)) return ''
  if (isLoop(text)) throw new UnusableAnswer('repeated one phrase over and over')
  return text
}

function heardInText({ type, text }: AnswerBody): Heard {
  if (type === 'text/html' || /^\s*<(!doctype|html|head|body|\?xml)/i.test(text)) {
    throw new UnusableAnswer('answered with a web page')
  }
  if (type === 'text/event-stream' || /^(data|event):/.test(text)) {
    throw new UnusableAnswer('answered with a stream of events')
  }
  if (/^\s*\{\s*"/.test(text)) throw new UnusableAnswer('answered with JSON that is broken')
  if (text === '' && type !== 'text/plain') throw new UnusableAnswer('answered with nothing')
  // A final line break in plain text is not part of the transcript.
  return { text: text.replace(/\r?\n$/, ''), seconds: null, segments: [] }
}

function heardIn(json: unknown): Heard {
  if (typeof json === 'string') return { text: json, seconds: null, segments: [] }
  // A transcript that is a number and nothing else.
  if (typeof json === 'number') return { text: String(json), seconds: null, segments: [] }
  if (Array.isArray(json)) return heardIn(json.length === 1 && !isSegment(json[0]) ? json[0] : { segments: json })
  const answer = transcription.safeParse(json)
  if (!answer.success) throw new UnusableAnswer('answered without a text')
  const { data } = answer
  if (data.error !== undefined && data.error !== null) throw new UnusableAnswer(describeError(data.error))
  const told = [data.segments, data.chunks, data.words].find((list) => list?.some((one) => textOf(one).trim() !== ''))
  const given = data.text ?? data.transcript ?? data.transcription ?? null
  if (given === null && !told && !data.segments) throw new UnusableAnswer('answered without a text')
  const text = given !== null && given.trim() !== '' ? unwrapped(given) : joined(told ?? [])
  return { text, seconds: data.usage?.seconds ?? data.duration ?? null, segments: data.segments ?? [] }
}

const isSegment = (value: unknown): boolean => typeof value === 'object' && value !== null && 'start' in value

/** Some gateways put the answer of the server behind them into the text. */
function unwrapped(text: string): string {
  if (!/^\s*\{\s*"/.test(text)) return text
  const inside = z.object({ text: z.string() }).safeParse(parseJson(text))
  return inside.success ? inside.data.text : text
}

const textOf = ({ text, word }: Segment): string => text ?? word ?? ''

/** Whisper's segments begin with the blank that separates them; others' do not. */
function joined(told: readonly Segment[]): string {
  const texts = told.map(textOf).filter((text) => text.trim() !== '')
  const haveBlanks = texts.slice(1).every((text) => /^\s/.test(text))
  return texts.join(haveBlanks ? '' : ' ').trim()
}

/** Whisper's own thresholds: probably no speech, and the words are a guess. */
const isSilent = (told: readonly Segment[]): boolean =>
  told.length > 0 &&
  told.every(({ no_speech_prob: none, avg_logprob: sure }) => none !== undefined && none > 0.6 && (sure ?? 0) < -1)

function describeError(error: unknown): string {
  const { code, type } = z
    .object({ code: z.unknown().optional(), type: z.unknown().optional() })
    .catch({ code: '', type: '' })
    .parse(error)
  const name = [code, type].map(harmlessName).find((one) => one !== '')
  return `answered HTTP 200 with an error${name ? ` (${name})` : ''}`
}
