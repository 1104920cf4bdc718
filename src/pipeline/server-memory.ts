import type { ServiceFailure } from './service-failure.ts'

/** The parts of a request that may be omitted when a server rejects them. */
export type OptionalPart = 'language' | 'reasoning_effort' | 'json_schema' | 'json_object'

const responseFormat = {
  param: /^(response_format|json_schema|guided_json)$/,
  message: /response[_ ]format|json[_ ](schema|object|mode)|structured[_ ]output|grammar|guided/i,
}
const blamedBy: Record<OptionalPart, { param: RegExp; message: RegExp }> = {
  language: { param: /^languages?$/, message: /\blanguages?\b/i },
  reasoning_effort: { param: /^reasoning(_effort)?$/, message: /\breasoning/i },
  json_schema: responseFormat,
  json_object: responseFormat,
}

/**
 * The part to leave out after a failure that its message or parameter explains; `null`: none. A status that says
 * something else (a key, a rate limit) is not about a part.
 */
export function partToBlame(failure: ServiceFailure, sent: readonly OptionalPart[]): OptionalPart | null {
  const { status, param, message, isStructured } = failure
  if (!isStructured || status === null || [401, 402, 403, 404, 408, 429].includes(status)) return null
  return (
    sent.find((part) => blamedBy[part].param.test(param) || (param === '' && blamedBy[part].message.test(message))) ??
    null
  )
}

/** A server may be upgraded, so a rejected part is tried again after this time. */
const forgetAfterMs = 86_400_000

/** Parts that servers rejected, by base URL and model, so that not every call costs a rejected request. */
export class ServerMemory {
  readonly #learnedAt = new Map<string, number>()

  lacks(server: string, part: OptionalPart, value = ''): boolean {
    const learnedAt = this.#learnedAt.get(keyOf(server, part, value))
    return learnedAt !== undefined && performance.now() - learnedAt < forgetAfterMs
  }

  /** @param value of the part, where others may be taken: the language. */
  learn(server: string, part: OptionalPart, value = ''): void {
    this.#learnedAt.set(keyOf(server, part, value), performance.now())
  }
}

const keyOf = (server: string, part: OptionalPart, value: string): string => JSON.stringify([server, part, value])
