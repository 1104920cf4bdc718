import { z } from 'zod'
import type { Metrics } from '../telemetry/metrics.ts'
import type { StepName } from './outcome.ts'

/** More than any answer can cost is a mistake, and would spoil the counter for good. */
const amount = z.number().min(0).max(1e9).catch(0)

/**
 * What an answer cost, in the forms of OpenAI's API reference: seconds of audio, tokens of a transcription, or tokens of
 * a chat. Other servers may tell less, or nothing.
 */
const toldUsage = z.object({
  seconds: amount,
  input_tokens: amount,
  output_tokens: amount,
  prompt_tokens: amount,
  completion_tokens: amount,
})

/** Counts what an answer was paid for, whether or not it can be used. @param usage as it came. */
export function countUsage(metrics: Metrics, step: StepName, usage: unknown): void {
  const told = toldUsage.safeParse(usage)
  if (!told.success) return
  const { seconds, input_tokens, output_tokens, prompt_tokens, completion_tokens } = told.data
  const input = input_tokens + prompt_tokens
  const output = output_tokens + completion_tokens
  if (seconds > 0) metrics.transcribedAudio.inc(seconds)
  if (input > 0) metrics.modelTokens.inc({ step, kind: 'input' }, input)
  if (output > 0) metrics.modelTokens.inc({ step, kind: 'output' }, output)
}
