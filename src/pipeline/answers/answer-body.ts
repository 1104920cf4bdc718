/** The body of an answer, whatever its headers call it. */
export interface AnswerBody {
  /** Media type in lower case, without parameters; `''`: none was sent. */
  type: string
  text: string
  /** `undefined`: the text is not JSON. */
  json: unknown
}

/** @throws Error when the connection breaks before the body is whole. */
export async function readAnswerBody(response: Response): Promise<AnswerBody> {
  const type = (response.headers.get('content-type') ?? '').replace(/;.*/s, '').trim().toLowerCase()
  const text = await response.text()
  return { type, text, json: parseJson(text) }
}

/** `undefined`: the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
