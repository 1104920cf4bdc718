/*
 * Models that reason write their thoughts in front of the answer, between tags that differ from one to the next:
 * <think>, <thinking>, <reasoning>, [THINK], {think}, ◁think▷, <|begin_of_thought|>, and channels (gpt-oss, Gemma).
 */

/** A tag's name: one of these words alone, or with anything around it if the word means nothing else. */
const name =
  '(?:[\\w:.-]*(?:think|thought|reasoning|reflection|monologue|rationale|scratchpad|deliberation|brainstorm|chain_of_thought)[\\w:.-]*|(?:[a-z]+:)?(?:reason|reflect|analysis|cot|plan(?:ning)?|internal))'
const tag = new RegExp(
  [
    // Also with attributes, escaped, self-closing, or alone on its line without its closing bracket.
    `(?:<|&lt;)[ \\t]*(?<end1>[/\\\\]?)[ \\t]*${name}(?:\\s[^<>]*?)?\\s*(?<empty>/?)[ \\t]*(?:>|&gt;)`,
    `^[ \\t]*<[ \\t]*(?<end2>/?)[ \\t]*${name}[ \\t]*$`,
    `◁\\s*(?<end3>/?)\\s*${name}\\s*▷`,
    '\\[\\s*(?<end4>/?)\\s*(?:think(?:ing)?|reasoning)\\s*\\]',
    '<\\|\\s*(?:(?<end5>/|end_(?:of_)?)|begin_(?:of_)?|start_)?(?:think(?:ing)?|thoughts?|reasoning)\\s*\\|>',
    '\\{\\s*(?<end6>/?)\\s*(?:think(?:ing)?|thoughts?|reasoning)\\s*\\}',
    // Gemma's channels and reserved tokens, whose end tag has no name.
    `<\\|channel>[ \\t]*${name}|<unused\\d+>[ \\t]*${name}|(?<end7><channel\\|>|<unused\\d+>)`,
    // A whole block in a fence, or one that is folded up (Open WebUI).
    `^(?<fence>\`\`\`)[ \\t]*${name}[ \\t]*$(?:[^\`]|\`(?!\`\`))*\`\`\``,
    `(?<folded><details\\b[^<>]*\\breasoning\\b[^<>]*>)(?:(?!</details>)[\\s\\S])*</details>`,
  ].join('|'),
  'gimu',
)
/** Thoughts under a heading, until another heading begins the answer (Granite). */
const underHeading =
  /(?<![\s\S])\s*(?:here(?:'s| is) my (?:thought|thinking) process|[#*_ ]*(?:thinking|thoughts?|thought process|reasoning|chain of thought))[*_ ]*(?::|\n)[\s\S]*?(?:here(?:'s| is) my (?:response|answer)|^[#*_ ]*(?:final )?(?:answer|response|output)[*_ ]*):[*_ ]*(?=[\s\S]*\S)/im
/** What Ollama writes. */
const announced = /^\s*thinking\.\.\.\s*\n[\s\S]*?\.\.\.\s*done thinking\.?\s*/i
/** gpt-oss's channels (OpenAI's harmony format), which some servers leave in: the answer is in the one called final. */
const channel = /<\|channel\|>/i

/** The answer without thoughts; the text itself, byte for byte, when it has none; `''` when it has nothing else. */
export function withoutThoughts(text: string): string {
  const [, ...channels] = text.split(channel)
  if (channels.length > 0) {
    const final = channels.findLast((one) => /^\s*final\b/i.test(one)) ?? ''
    const message = final.replace(/^.*?<\|message\|>/is, '').replace(/<\|(?:return|end|call|start)\|>.*$/is, '')
    return withoutThoughts(message).trim()
  }
  const headed = text.replace(announced, '').replace(underHeading, '')
  if (headed !== text) return withoutThoughts(headed).trim()
  let [kept, depth, from, afterLastEnd] = ['', 0, 0, -1]
  let hasThoughts = false
  for (const match of text.matchAll(tag)) {
    hasThoughts = true
    const { end1, end2, end3, end4, end5, end6, end7, empty, fence, folded } = match.groups ?? {}
    if (depth === 0) kept += text.slice(from, match.index)
    from = match.index + match[0].length
    if (empty || fence || folded) continue
    if (!(end1 || end2 || end3 || end4 || end5 || end6 || end7)) {
      depth++
      continue
    }
    // An end tag without a start tag: the prompt's template wrote the start tag.
    if (depth === 0) kept = ''
    else depth--
    afterLastEnd = from
  }
  if (!hasThoughts) return text
  if (depth === 0) kept += text.slice(from)
  // A tag that is only mentioned in the thoughts distorts the count.
  if (kept.trim() === '' && afterLastEnd >= 0 && depth > 0) kept = text.slice(afterLastEnd)
  return kept.trim()
}

/** Whether the text begins a thought that it does not end. */
export function isUnfinishedThought(text: string): boolean {
  return withoutThoughts(text) === '' && withoutThoughts(`${text}</think>answer`) === 'answer'
}
