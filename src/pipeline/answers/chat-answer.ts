import { z } from 'zod'
import type { AnswerBody } from './answer-body.ts'
import { harmlessName, UnusableAnswer } from './unusable-answer.ts'

const part = z.object({ text: z.string().catch(''), refusal: z.string().catch('') })
const chatAnswer = z.object({
  choices: z.tuple(
    [
      z.object({
        finish_reason: z.string().nullish().catch(null),
        message: z.object({
          content: z.union([z.string(), z.array(part)]).nullish(),
          refusal: z.string().nullish().catch(null),
          tool_calls: z.array(z.unknown()).nullish().catch(null),
          function_call: z.unknown().optional(),
        }),
      }),
    ],
    z.unknown(),
  ),
})

/** Why an answer ended that is not whole, as OpenAI and gateways to others name it, and what that means. */
const brokenEnds: readonly [RegExp, string][] = [
  [/^(max_(output_)?tokens|length|model_length|model_context_window_exceeded)$/, 'was cut off'],
  [/^(content_filter(ed)?|safety|recitation|blocklist|prohibited_content|spii|refusal)$/, 'had its answer withheld'],
  [/^(tool_calls?|tool_use|function_call)$/, 'called a tool instead of answering'],
  [/^(error|abort|cancelled|malformed_function_call)$/, 'broke off'],
]

/**
 * The text of a chat completion, thoughts and packaging included.
 *
 * @throws {UnusableAnswer} for one that is not whole, is a refusal or calls a tool, whatever text comes with it.
 */
export function readChatAnswer({ json }: AnswerBody): string {
  const parsed = chatAnswer.safeParse(json)
  if (!parsed.success) throw new UnusableAnswer(describeError(json) ?? 'gave no answer of the form that was asked for')
  const [{ finish_reason: reason, message }] = parsed.data.choices
  const end = (reason ?? '').toLowerCase()
  const broken = brokenEnds.find(([pattern]) => pattern.test(end))
  if (broken) throw new UnusableAnswer(`${broken[1]} (finish_reason ${end})`)
  const parts = typeof message.content === 'string' ? [{ text: message.content, refusal: '' }] : (message.content ?? [])
  if ((message.refusal ?? '') !== '' || parts.some(({ refusal }) => refusal !== '')) {
    throw new UnusableAnswer('answered with a refusal')
  }
  if ((message.tool_calls ?? []).length > 0 || (message.function_call ?? null) !== null) {
    throw new UnusableAnswer('called a tool instead of answering (tool_calls)')
  }
  const text = parts.map((one) => one.text).join('')
  if (text.trim() === '') throw new UnusableAnswer('gave no answer of the form that was asked for: it is empty')
  return text
}

/** Some gateways answer 200 with an error inside. */
function describeError(json: unknown): string | null {
  const told = z.object({ error: z.unknown().optional() }).safeParse(json)
  if (!told.success || told.data.error === undefined || told.data.error === null) return null
  const error = z.object({ code: z.unknown().optional(), type: z.unknown().optional() }).safeParse(told.data.error)
  const name = error.success && [error.data.code, error.data.type].map(harmlessName).find((one) => one !== '')
  return `answered HTTP 200 with an error${name ? ` (${name})` : ''}`
}
