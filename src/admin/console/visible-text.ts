/**
 * What a terminal or a browser would act on or swallow, and what turns the order of a line around (UAX 9). Line ends and
 * tabs are not, nor the marks that Hebrew and Arabic texts have.
 */
export const unseen = /[[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]--[\t\n\u061c\u200e\u200f]]/gv

/** A text of somebody else's with its control characters to be seen: `␀` for NUL, `⟨U+202E⟩`. Line ends and tabs stay. */
export function visibleText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(unseen, (sign) => {
    const code = sign.charCodeAt(0)
    if (code < 0x20) return String.fromCharCode(0x2400 + code)
    return code === 0x7f ? '␡' : `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`
  })
}
