import { type Html, html } from './html.ts'
import { unseen } from './visible-text.ts'

/** A string may end with the text instead of a quote, where the text was cut: no token is ever searched for twice. */
const token = /"[^"\\]*(?:\\.?[^"\\]*)*"?|[{}[\],:]|[^\s{}[\],:"]+/gs
/** Each level of indentation costs every line below it, and a payload can be thousands of levels deep. */
const maxIndent = 40
/** What is shown of a text, in UTF-16 code units and in tokens: colours cost an element for each token. */
const maxLength = 65_536
const maxTokens = 10_000

export interface JsonView {
  markup: Html
  /** How much of the text is shown, in UTF-16 code units; less than its length if it is too long to be shown whole. */
  length: number
}

/**
 * JSON with a line for each value. Its tokens are shown as they are written: to parse them would round large numbers,
 * drop repeated keys and move others. Only characters that cannot be seen become escapes, which mean the same.
 *
 * @param text valid JSON of any length and depth; of a long one only the start is shown.
 */
export function prettyJson(text: string): JsonView {
  const parts: (Html | string)[] = []
  const head = startOf(text)
  for (const { space, text: written, kind } of layOut(head.tokens)) {
    const shown = written.replace(unseen, escaped)
    if (kind === 'sign') parts.push(space + shown)
    else parts.push(space, html`<bdi class="json-${kind}">${shown}</bdi>`)
  }
  return { markup: html`${parts}`, length: head.length }
}

/** The tokens that are shown. */
function startOf(text: string): { tokens: string[]; length: number } {
  const cut = text.length > maxLength
  // Do not cut a surrogate pair in half.
  const end =
    cut && /[\ud800-\udbff]/.test(text[maxLength - 1] ?? '') ? maxLength - 1 : Math.min(maxLength, text.length)
  const tokens: string[] = []
  for (const found of text.slice(0, end).matchAll(token)) {
    if (tokens.length === maxTokens) return { tokens, length: found.index }
    tokens.push(found[0])
  }
  return { tokens, length: end }
}

const escaped = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`

interface Token {
  /** What goes before it. */
  space: string
  text: string
  kind: 'key' | 'string' | 'word' | 'sign'
}

function* layOut(tokens: readonly string[]): Generator<Token> {
  let depth = 0
  for (const [place, one] of tokens.entries()) {
    const before = tokens[place - 1]
    const isClosing = one === '}' || one === ']'
    if (isClosing) depth--
    const isEmpty = isClosing && (before === '{' || before === '[')
    const startsLine = before !== undefined && (isClosing ? !isEmpty : /^[{[,]$/.test(before))
    const space = startsLine ? `\n${'  '.repeat(Math.min(depth, maxIndent))}` : before === ':' ? ' ' : ''
    yield { space, text: one, kind: kindOf(one, tokens[place + 1]) }
    if (one === '{' || one === '[') depth++
  }
}

function kindOf(token: string, next: string | undefined): Token['kind'] {
  if (token.startsWith('"')) return next === ':' ? 'key' : 'string'
  return /^[{}[\],:]$/.test(token) ? 'sign' : 'word'
}
