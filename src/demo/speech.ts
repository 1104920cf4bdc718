import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { OpenAiMind } from './openai-stand-in.ts'

const words = z.object({
  language: z.string(),
  duration_sec: z.number(),
  transcript: z.string(),
  summary: z.string(),
  city: z.string(),
  service_category: z.string(),
})

/** A recorded call and what there is to know of it. */
export interface Speech extends z.infer<typeof words> {
  mp3: Buffer
}

export type SpeechName = 'flat-to-rent' | 'leaking-tap' | 'property-to-market' | 'reminder'

export function loadSpeech(name: SpeechName): Speech {
  const file = (extension: string): Buffer => readFileSync(new URL(`./speech/${name}.${extension}`, import.meta.url))
  return { ...words.parse(JSON.parse(file('json').toString('utf8'))), mp3: file('mp3') }
}

/**
 * Knows these recordings and nothing else: one by the hash of the uploaded bytes, so they must have come whole all the
 * way; its summary and facts by the text that the question quotes.
 */
export function mindOf(speeches: readonly Speech[]): OpenAiMind {
  const byHash = new Map(speeches.map((speech) => [createHash('sha256').update(speech.mp3).digest('hex'), speech]))
  return {
    transcribe: ({ sha256 }) => byHash.get(sha256)?.transcript ?? null,
    chat({ messages, schema }) {
      const text = messages.map((message) => message.text).join('\n')
      const speech = speeches.find(({ transcript, summary }) => text.includes(transcript) || text.includes(summary))
      if (schema === null) return speech?.summary ?? ''
      return { city: speech?.city ?? '', service_category: speech?.service_category ?? '' }
    },
  }
}
