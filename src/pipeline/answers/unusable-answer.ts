/**
 * The service answered, but with nothing that can be used. The message goes on from "the language model …" and names
 * the reason for operators; it quotes nothing that may be part of a call.
 */
export class UnusableAnswer extends Error {
  override name = 'UnusableAnswer'
}

/** A name that a service gave, such as an error code, if it is one; else `''`. */
export const harmlessName = (value: unknown): string =>
  typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : ''
