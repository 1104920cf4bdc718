const headerEnd = Buffer.from('\r\n\r\n')
const contentLength = Buffer.from('content-length: ')
const webhookId = Buffer.from('webhook-id: ')
const idLength = 36

/**
 * Finds the requests in a connection's bytes, and nothing else: just enough of HTTP/1.1 for what undici sends, whose
 * headers keep the case that they were given in and whose bodies have a length.
 */
export class RequestFraming {
  /** Of the body, bytes still to come. */
  #body = 0
  #head: Buffer | null = null

  /**
   * @param onHead once for each request, with its `webhook-id` if it is asked for and there.
   * @param onEnd when its last byte has come.
   */
  read(bytes: Buffer, wantsId: boolean, onHead: (id: string) => void, onEnd: () => void): void {
    let chunk = bytes
    if (this.#head !== null) {
      chunk = Buffer.concat([this.#head, bytes])
      this.#head = null
    }
    let at = 0
    while (at < chunk.length) {
      if (this.#body === 0) {
        const end = chunk.indexOf(headerEnd, at)
        if (end < 0) {
          this.#head = chunk.subarray(at)
          return
        }
        this.#body = lengthAfter(chunk, at)
        onHead(wantsId ? idAfter(chunk, at, end) : '')
        at = end + headerEnd.length
      }
      const taken = Math.min(this.#body, chunk.length - at)
      this.#body -= taken
      at += taken
      if (this.#body === 0) onEnd()
    }
  }
}

function lengthAfter(chunk: Buffer, from: number): number {
  let at = chunk.indexOf(contentLength, from)
  if (at < 0) throw new Error('a request without content-length')
  at += contentLength.length
  let length = 0
  for (let digit = chunk[at]; digit !== undefined && digit >= 48 && digit <= 57; digit = chunk[at]) {
    length = length * 10 + digit - 48
    at += 1
  }
  return length
}

function idAfter(chunk: Buffer, from: number, end: number): string {
  const at = chunk.indexOf(webhookId, from)
  if (at < 0 || at > end) return ''
  const start = at + webhookId.length
  return chunk.toString('latin1', start, start + idLength)
}
