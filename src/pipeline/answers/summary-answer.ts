import { parseJson } from './answer-body.ts'
import { isLoop } from './loop.ts'
import { withoutThoughts } from './thoughts.ts'
import { UnusableAnswer } from './unusable-answer.ts'

/** Tags and fences that some models put around an answer as a whole. */
const wrappings = [
  /^\s*<(answer|final_answer|final|output|response|summary|result)>(.*)<\/\1>\s*$/is,
  /^\s*```[ \t]*(markdown|md|text|txt|json)?[ \t]*\r?\n((?:[^`]|`(?!``))*?)\r?\n?```\s*$/i,
]
const namesOfText = ['summary', 'text', 'content', 'markdown', 'answer', 'output', 'result', 'response']

/**
 * The summary from a model's answer: without thoughts, fences or JSON around it, else byte for byte.
 *
 * @throws {UnusableAnswer} when there is nothing else.
 */
export function readSummaryAnswer(text: string): string {
  const summary = unwrapped(withoutThoughts(text))
  if (summary.trim() === '') throw new UnusableAnswer('gave thoughts and no answer')
  if (isLoop(summary)) throw new UnusableAnswer('repeated one phrase over and over')
  return summary
}

function unwrapped(text: string): string {
  for (const wrapping of wrappings) {
    const inside = wrapping.exec(text)?.[2]
    if (inside !== undefined) return unwrapped(inside)
  }
  if (!/^\s*[{["]/.test(text)) return text
  const json = parseJson(text)
  if (json === undefined) return text
  const inside = textOf(json)
  if (inside === null) throw new UnusableAnswer('gave no answer of the form that was asked for')
  return unwrapped(inside)
}

/** `null`: this is no text in JSON. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.length === 1 ? textOf(value[0]) : null
  if (typeof value !== 'object' || value === null) return null
  const entries = Object.entries(value)
  const [, named] = entries.find(([name]) => namesOfText.includes(name.toLowerCase())) ?? []
  if (typeof named === 'string') return named
  return entries.length === 1 ? textOf(entries[0]?.[1]) : null
}
