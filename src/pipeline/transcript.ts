import type { OpenAiService } from './openai-service.ts'
import { done, type Outcome } from './outcome.ts'

/** What was said; `''` for a recording without speech. */
export async function transcribe(
  openai: OpenAiService,
  path: string,
  language: string,
  onHint: (isTaken: boolean) => Promise<void>,
  signal: AbortSignal,
): Promise<Outcome<string>> {
  const outcome = await openai.transcribe(path, language, onHint, signal)
  return outcome.ok && outcome.value.trim() === '' ? done('') : outcome
}

/** The transcripts of a call's recordings joined in order; those without speech add nothing. */
export const joinTranscripts = (transcripts: readonly string[]): string =>
  transcripts.filter((transcript) => transcript !== '').join('\n\n')
