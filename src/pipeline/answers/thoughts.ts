/*
 * Models that reason write their thoughts in front of the answer, between tags that differ from one to the next:
 * <think>, <thinking>, <reasoning>, [THINK], ◁think▷, <|begin_of_thought|>, and channels (gpt-oss).
 */

const name =
  '(?:[a-z]+:)?(?:ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?(?:_content|_process)?|reflect(?:ion)?|scratchpad|analysis|inner_?(?:monologue|thoughts?)|chain_of_thought|deliberation)'
const tag = new RegExp(
  [
    // Also with attributes, escaped, closed in itself, or alone on its line without its closing bracket.
    `(?:<|&lt;)[ \\t]*(?<end1>[/\\\\]?)[ \\t]*${name}(?:\\s[^<>]*?)?\\s*(?<empty>/?)[ \\t]*(?:>|&gt;)`,
    `^[ \\t]*<[ \\t]*(?<end2>/?)[ \\t]*${name}[ \\t]*$`,
    `◁\\s*(?<end3>/?)\\s*${name}\\s*▷`,
    '\\[\\s*(?<end4>/?)\\s*(?:think(?:ing)?|reasoning)\\s*\\]',
    '<\\|\\s*(?:(?<end5>/|end_(?:of_)?)|begin_(?:of_)?|start_)?(?:think(?:ing)?|thoughts?|reasoning)\\s*\\|>',
    // A whole block in a fence.
    `^(?<fence>\`\`\`)[ \\t]*${name}[ \\t]*$(?:[^\`]|\`(?!\`\`))*\`\`\``,
  ].join('|'),
  'gimu',
)
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
  let [kept, depth, from, afterLastEnd] = ['', 0, 0, -1]
  let hasThoughts = false
  for (const match of text.matchAll(tag)) {
    hasThoughts = true
    const { end1, end2, end3, end4, end5, empty, fence } = match.groups ?? {}
    if (depth === 0) kept += text.slice(from, match.index)
    from = match.index + match[0].length
    if (empty || fence) continue
    if (!(end1 || end2 || end3 || end4 || end5)) {
      depth++
      continue
    }
    // An end without a beginning: the template of the prompt has written the beginning.
    if (depth === 0) kept = ''
    else depth--
    afterLastEnd = from
  }
  if (!hasThoughts) return text
  if (depth === 0) kept += text.slice(from)
  // A tag that was only mentioned in the thoughts makes the count wrong.
  if (kept.trim() === '' && afterLastEnd >= 0 && depth > 0) kept = text.slice(afterLastEnd)
  return kept.trim()
}

/** Whether the text begins a thought that it does not end. */
export function isUnfinishedThought(text: string): boolean {
  return withoutThoughts(text) === '' && withoutThoughts(`${text}</think>answer`) === 'answer'
}
