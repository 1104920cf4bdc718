import { parseJson } from './answer-body.ts'

/** Wrappings that are opened; an answer has few. */
const maxDepth = 4
/** How many characters the search for objects examines: a text of only braces would be scanned once for each of them. */
const maxExamined = 5_000_000

/**
 * The JSON objects in a model's answer, the likeliest first: the whole text, else the last one in code fences or prose.
 * What they wrap (`{"result": {…}}`, `[{…}]`, JSON in a string) follows each.
 */
export function* jsonObjectsIn(text: string): Generator<Record<string, unknown>> {
  const whole = parseJson(text)
  if (whole !== undefined) {
    yield* objectsIn(whole, 0)
    return
  }
  const found = objectTextsIn(text).map(parseLoosely)
  for (const value of found.reverse()) yield* objectsIn(value, 0)
}

/** The JSON object that the text ends with, a closing code fence aside. */
export function lastJsonObject(text: string): string | null {
  const last = objectTextsIn(text).at(-1)
  const end = text.replace(/[`\s]+$/, '')
  return last !== undefined && end.endsWith(last) ? last : null
}

function* objectsIn(value: unknown, depth: number): Generator<Record<string, unknown>> {
  if (depth > maxDepth) return
  if (typeof value === 'string') {
    if (/^\s*[[{"]/.test(value)) yield* objectsIn(parseJson(value), depth + 1)
  } else if (Array.isArray(value)) {
    for (const item of value) yield* objectsIn(item, depth + 1)
  } else if (typeof value === 'object' && value !== null) {
    yield value as Record<string, unknown>
    for (const item of Object.values(value)) yield* objectsIn(item, depth + 1)
  }
}

const looseParts = /"(?:[^"\\]|\\.)*"|'((?:[^'\\]|\\.)*)'|\b(None)\b|,(?=\s*[}\]])/g

/** JSON, also with a comma after the last item, or as Python prints it. */
function parseLoosely(text: string): unknown {
  const strict = parseJson(text)
  if (strict !== undefined) return strict
  const mended = text.replace(looseParts, (part: string, quoted: string | undefined, none: string | undefined) => {
    if (quoted !== undefined) return JSON.stringify(quoted.replace(/\\(.)/gs, '$1'))
    if (none !== undefined) return 'null'
    return part === ',' ? '' : part
  })
  return mended === text ? undefined : parseJson(mended)
}

/** The outermost objects, in their order. */
function objectTextsIn(text: string): string[] {
  const found: string[] = []
  let examined = 0
  let start = text.indexOf('{')
  while (start >= 0 && examined < maxExamined) {
    const end = endOfObject(text, start)
    examined += (end < 0 ? text.length : end) - start
    const json = end < 0 ? '' : text.slice(start, end)
    const isJson = end >= 0 && parseLoosely(json) !== undefined
    if (isJson) found.push(json)
    start = text.indexOf('{', isJson ? end : start + 1)
  }
  return found
}

/** The index after the brace that closes the one at `start`, ignoring braces in strings; -1: none closes it. */
function endOfObject(text: string, start: number): number {
  let [depth, inString] = [0, false]
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (inString) {
      if (character === '\\') at++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{') depth++
    else if (character === '}' && --depth === 0) return at + 1
  }
  return -1
}
