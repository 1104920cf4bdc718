/** Of the text that is said to fit: tokens are not spread evenly, and the answer needs room too. */
const caution = 0.8
/** Without numbers in the service's error. */
const shareWithoutNumbers = 0.25
const minShare = 0.01

/** Whole numbers of three digits or more, with or without commas, that are no part of a name such as `gpt-4-0613`. */
const amounts = /(?<![\w.,-])\d[\d,]{2,}(?![\w-])/g

/**
 * What share of a text to send after a service found it too long: by the first two amounts in its error, the limit and
 * what was sent, in either order ("maximum context length is 8192 tokens. However, you requested 12000 tokens").
 *
 * @returns from 0 to 1.
 */
export function fittingShare(message: string): number {
  const [first, second] = (message.match(amounts) ?? []).map((text) => Number(text.replaceAll(',', '')))
  if (first === undefined || second === undefined || first === second) return shareWithoutNumbers
  const share = (Math.min(first, second) / Math.max(first, second)) * caution
  return Math.max(share, minShare)
}

export interface ShortenedText {
  text: string
  /** Characters that were taken out of the middle; 0: none. */
  leftOut: number
}

/** The beginning and the end of a text, which tell the most about a call. @param maxLength in characters. */
export function shorten(text: string, maxLength: number): ShortenedText {
  if (text.length <= maxLength) return { text, leftOut: 0 }
  const half = Math.floor(maxLength / 2)
  const [beginning, end] = [text.slice(0, half), text.slice(text.length - half)]
  return { text: `${beginning}\n[…]\n${end}`.toWellFormed(), leftOut: text.length - 2 * half }
}
