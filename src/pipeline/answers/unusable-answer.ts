/**
 * The service gave an unusable answer. The message continues a sentence that begins "the language model …"; it names
 * the reason for operators and quotes nothing that may be part of a call.
 */
export class UnusableAnswer extends Error {
  override name = 'UnusableAnswer'
}

/** A name that a service gave, such as an error code, if it is one; else `''`. */
export const harmlessName = (value: unknown): string =>
  typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : ''
