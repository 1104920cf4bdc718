import { parseJson } from './answer-body.ts'
import { isLoop } from './loop.ts'
import { withoutThoughts } from './thoughts.ts'
import { UnusableAnswer } from './unusable-answer.ts'

/** Tags and fences that some models put around an answer as a whole; what comes before the tag leads up to it. */
const wrappings = [
  /^.*?<(answer|final_answer|final|output|response|summary|result)>(.*)<\/\1>\s*$/is,
  /^\s*```[ \t]*(markdown|md|text|txt|json)?[ \t]*\r?\n((?:[^`]|`(?!``))*?)\r?\n?```\s*$/i,
]
/** Tokens of a chat template that a server left in: `<|START_RESPONSE|>`, `[|assistant|]`, `</s>`. */
const templateToken = String.raw`(?:<\|[\w/ ]{1,40}\|>|\[\|\w{1,20}\|\]|</?s>|</?(?:start|end)_of_turn>|<eos>)`
const templateTokens = new RegExp(`^(?:\\s*${templateToken})+\\s*|\\s*(?:${templateToken}\\s*)+$`, 'gi')
/** A block in front of the answer whose tag is no part of a formatted text: a plan, notes, a call of a tool. */
const leadingBlock =
  /^\s*<(?!(?:a|abbr|article|b|big|blockquote|body|center|code|dd|details|div|dl|dt|em|font|h[1-6]|header|html|i|ins|kbd|li|main|mark|ol|p|pre|q|s|section|small|span|strong|sub|sup|table|tbody|td|th|thead|tr|tt|u|ul|answer|final_answer|final|output|response|summary|result)[\s>])([a-z][\w:.-]*)(?:\s[^<>]*)?>[\s\S]*?<\/\1>\s*(?=\S)/i
const namesOfText = ['summary', 'text', 'content', 'markdown', 'answer', 'output', 'result', 'response']

/**
 * The summary from a model's answer: without thoughts, fences or JSON around it, else byte for byte.
 *
 * @throws {UnusableAnswer} when there is nothing else.
 */
export function readSummaryAnswer(text: string): string {
  const summary = unwrapped(withoutBlocks(withoutThoughts(text).replace(templateTokens, '')))
  if (summary.trim() === '') throw new UnusableAnswer('gave thoughts and no answer')
  if (isLoop(summary)) throw new UnusableAnswer('repeated one phrase over and over')
  return summary
}

function withoutBlocks(text: string): string {
  const rest = text.replace(leadingBlock, '')
  return rest === text ? text : withoutBlocks(rest)
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
