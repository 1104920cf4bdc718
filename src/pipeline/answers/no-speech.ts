import { creditBeginnings, creditLabels, inventedPhrases, politePhrases, soundNames } from './known-inventions.ts'

/** In letters; longer texts are not examined. The longest invention repeated 300 times has 20,000. */
const maxLetters = 30_000
/** In words; a longer sentence that begins like a credit is speech. */
const maxCredit = 14
/** In seconds: audio of at least this length with nothing but one "thank you" is silent. */
const longForPoliteness = 10

/** Only letters and digits, in lower case and without diacritics: models spell the rest at random. */
const bare = (text: string): string =>
  text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '')

const polite = politePhrases.map(bare)
const invented = [...inventedPhrases.map(bare), ...polite]
const beginnings = creditBeginnings.map(bare)
const labels = new Set(creditLabels.map(bare))
const sounds = [...soundNames, 'playing', 'in background'].map(bare)

/**
 * Whether a transcript contains no speech: it is empty, or has only names of sounds or texts that models are known to
 * invent for silence.
 *
 * @param seconds of the audio; `null`: not known.
 */
export function isNoSpeech(transcript: string, seconds: number | null): boolean {
  const text = withoutSounds(transcript)
  if (bare(text) === '') return true
  const sentences = sentencesOf(text).filter((sentence) => bare(sentence) !== '')
  if (!isInvented(text) && !sentences.every(isInvented)) return false
  if (!isMadeOf(polite, bare(text))) return true
  const isOnePhrase = new Set(sentences.map(bare)).size === 1
  return isOnePhrase && seconds !== null && seconds >= longForPoliteness
}

function isInvented(sentence: string): boolean {
  const letters = bare(sentence)
  if (isMadeOf(invented, letters)) return true
  if (sentence.trim().split(/\s+/).length > maxCredit) return false
  if (beginnings.some((beginning) => letters.startsWith(beginning)) || letters.includes('amaraorg')) return true
  const [beforeColon, ...behind] = sentence.split(/[:：]/)
  return behind.length > 0 && labels.has(bare(beforeColon ?? ''))
}

/** Whether the letters are these phrases one after another, in any order and number. */
function isMadeOf(phrases: readonly string[], letters: string): boolean {
  if (letters.length > maxLetters) return false
  const reached = new Set([0])
  // Iterating a set includes members added meanwhile.
  for (const at of reached) {
    for (const phrase of phrases) if (letters.startsWith(phrase, at)) reached.add(at + phrase.length)
  }
  return letters !== '' && reached.has(letters.length)
}

/** Also within a line, where the next sentence follows a blank; `Amara.org` is one word. */
const sentencesOf = (text: string): string[] => text.split(/[.!?…]+(?:\s+|$)|[。！？\n]+/u)

/** Without `[music]`, `♪ … ♪`, `*beep*`, `(applause)` and special tokens such as `<|nospeech|>`. */
const withoutSounds = (text: string): string =>
  text
    .replace(/<\|[^|<>]{0,40}\|>|\[[^\][]{0,60}\]|[♪♫🎵🎶][^♪♫🎵🎶]{0,200}[♪♫🎵🎶]|\*[^*\n]{1,40}\*/gu, ' ')
    .replace(/[(（]([^()（）]{1,60})[)）]/gu, (whole, inside: string) => (isMadeOf(sounds, bare(inside)) ? ' ' : whole))
