import type { ReasoningEffort } from '../config.ts'

/**
 * What a model takes as `reasoning_effort`, by its name; the first pattern that matches counts (OpenAI's model pages and
 * its reasoning guide, December 2026). For any other model the parameter is omitted: it may reject it.
 */
const effortsByModel: readonly [RegExp, readonly ReasoningEffort[]][] = [
  [/-chat(-latest)?$|-chat-|codex|^o1-(mini|preview)/, []],
  [/^gpt-5-pro/, ['high']],
  [/^gpt-5\.\d-pro/, ['medium', 'high', 'xhigh']],
  [/^gpt-6-astra|^gpt-6\.1-sol/, ['low', 'medium', 'high', 'xhigh', 'max']],
  [/^gpt-(5\.6|6|6\.1)(-|$)/, ['none', 'low', 'medium', 'high', 'xhigh', 'max']],
  [/^gpt-5\.[2-5](-|$)/, ['none', 'low', 'medium', 'high', 'xhigh']],
  [/^gpt-5\.1(-|$)/, ['none', 'low', 'medium', 'high']],
  [/^gpt-5(-|$)/, ['minimal', 'low', 'medium', 'high']],
  [/^(o[134](-mini)?|gpt-oss)(-|$)/, ['low', 'medium', 'high']],
]

export const effortsTaken = (model: string): readonly ReasoningEffort[] =>
  effortsByModel.find(([pattern]) => pattern.test(familyOf(model)))?.[1] ?? []

/**
 * The effort to ask a model for; `null`: none is sent.
 *
 * @param wanted the operator's choice; `null`: the least of `none` and `low` that the model takes, which is enough for
 *   a summary.
 */
export function effortFor(model: string, wanted: ReasoningEffort | null): ReasoningEffort | null {
  const taken = effortsTaken(model)
  const choices = wanted === null ? (['none', 'low'] as const) : [wanted]
  return choices.find((effort) => taken.includes(effort)) ?? null
}

/** The parameters of a transcription that differ between models. */
export interface TranscriptionParameters {
  language?: string
  languages?: string[]
  chunking_strategy?: 'auto'
}

/** @param language ISO 639-1; `''`: the model detects it. */
export function transcriptionParameters(model: string, language: string): TranscriptionParameters {
  const family = familyOf(model)
  const parameters: TranscriptionParameters = {}
  if (language !== '') {
    if (/^gpt-transcribe(-|$)/.test(family)) parameters.languages = [language]
    else parameters.language = language
  }
  // Required by this model for audio over 30 s, and unknown to most others.
  if (/^gpt-4o-transcribe-diarize/.test(family)) parameters.chunking_strategy = 'auto'
  return parameters
}

/** The name without a gateway's prefix (`openai/…`), a fine-tuning's (`ft:…:…`) or a variant (`…:nitro`). */
const familyOf = (model: string): string =>
  model.toLowerCase().replace(/^.*\//, '').replace(/^ft:/, '').replace(/:.*$/, '')
