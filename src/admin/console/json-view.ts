import { type Html, html } from './html.ts'
import { unseen } from './visible-text.ts'

const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs
/** Each level of indentation costs every line below it, and a payload can be thousands of levels deep. */
const deepestIndent = 40
/** Colours cost an element for each token. */
const mostColoured = 65_536

/**
 * JSON with a line for each value. Its tokens are shown as they are written: to parse them would round large numbers,
 * drop repeated keys and move others. Only characters that cannot be seen become escapes, which mean the same.
 *
 * @param text valid JSON.
 */
export function prettyJson(text: string): Html {
  const isColoured = text.length <= mostColoured
  const parts: (Html | string)[] = []
  for (const { space, text: written, kind } of layOut(text)) {
    const shown = written.replace(unseen, escaped)
    if (kind === 'sign' || !isColoured) parts.push(space + shown)
    else parts.push(space, html`<bdi class="json-${kind}">${shown}</bdi>`)
  }
  return html`${isColoured ? parts : parts.join('')}`
}

const escaped = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`

interface Token {
  /** What goes before it. */
  space: string
  text: string
  kind: 'key' | 'string' | 'word' | 'sign'
}

function* layOut(text: string): Generator<Token> {
  const tokens = text.match(token) ?? []
  let depth = 0
  for (const [place, one] of tokens.entries()) {
    const before = tokens[place - 1]
    const isClosing = one === '}' || one === ']'
    if (isClosing) depth--
    const isEmpty = isClosing && (before === '{' || before === '[')
    const startsLine = before !== undefined && (isClosing ? !isEmpty : /^[{[,]$/.test(before))
    const space = startsLine ? `\n${'  '.repeat(Math.min(depth, deepestIndent))}` : before === ':' ? ' ' : ''
    yield { space, text: one, kind: kindOf(one, tokens[place + 1]) }
    if (one === '{' || one === '[') depth++
  }
}

function kindOf(token: string, next: string | undefined): Token['kind'] {
  if (token.startsWith('"')) return next === ':' ? 'key' : 'string'
  return /^[{}[\],:]$/.test(token) ? 'sign' : 'word'
}
