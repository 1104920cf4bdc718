/*
 * A transcription model that gets stuck repeats one phrase until its answer is full. People repeat themselves too
 * ("hello? hello?"), and so does a queue's announcement, but not this often in a row.
 */

const minRepeats = 20
/** From this many repeats on it is a loop, however much other text there is. */
const certainRepeats = 50
/** In characters; a run of a few letters is a laugh. */
const minRun = 60
/** In words. */
const maxPhrase = 60
/** A longer word, such as a laugh or text without spaces, is examined letter by letter. */
const maxWord = 30

/** Whether the text is one phrase repeated, in whole or in good part; punctuation and letter case do not count. */
export function isLoop(text: string): boolean {
  const words = wordsOf(text)
  const total = lengthOf(words, 0, words.length)
  for (let period = 1; period <= maxPhrase && period * minRepeats <= words.length; period++) {
    let runStart = 0
    for (let at = period; at <= words.length; at++) {
      if (at < words.length && words[at] === words[at - period]) continue
      const repeats = Math.floor((at - runStart) / period)
      if (repeats >= minRepeats) {
        const run = lengthOf(words, runStart, at)
        if (run >= minRun && (repeats >= certainRepeats || run * 2 >= total)) return true
      }
      runStart = at - period + 1
    }
  }
  return false
}

const wordsOf = (text: string): string[] =>
  (
    text
      .normalize('NFKC')
      .toLowerCase()
      .match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  ).flatMap((word) => (word.length > maxWord ? [...word] : [word]))

function lengthOf(words: readonly string[], from: number, to: number): number {
  let length = 0
  for (let at = from; at < to; at++) length += words[at]?.length ?? 0
  return length
}
