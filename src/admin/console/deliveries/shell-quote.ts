/** What a terminal acts on when it is pasted, what ends a line, and what turns its order around (UAX 9). */
const risky = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/**
 * A text as one word of bash or zsh, whatever is in it. Plain single quotes where they do (POSIX, XCU 2.2.2); with a
 * control character `$'…'` (POSIX.1-2024, 2.2.4), which has it in octal.
 *
 * @param text without U+0000, which no argument can hold.
 */
export function shellQuote(text: string): string {
  if (!risky.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`
  const inner = Array.from(text, (sign) => {
    if (sign === "'" || sign === '\\') return `\\${sign}`
    return risky.test(sign) ? octal(sign) : sign
  })
  return `$'${inner.join('')}'`
}

/** Three digits each, so that a digit after it stays a digit. */
const octal = (sign: string): string =>
  Array.from(Buffer.from(sign), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')
