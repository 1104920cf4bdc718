import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { sendReply } from './scripted-answers.ts'

/** A recording's mp3 as a store of files serves it: with its length, an ETag, and parts of it (RFC 9110, 14). */
export function recordingAnswer(mp3: Buffer): (request: IncomingMessage, response: ServerResponse) => void {
  const etag = `"${createHash('sha256').update(mp3).digest('hex').slice(0, 32)}"`
  const headers = { 'content-type': 'audio/mpeg', 'accept-ranges': 'bytes', etag }
  return (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const condition = request.headers['if-range']
    const body = mp3.subarray(from)
    if (from === 0 || (condition !== undefined && condition !== etag)) {
      sendReply(response, { status: 200, headers: { ...headers, 'content-length': String(mp3.length) }, body: mp3 })
    } else if (from >= mp3.length) {
      sendReply(response, { status: 416, headers: { ...headers, 'content-range': `bytes */${mp3.length}` } })
    } else {
      const range = `bytes ${from}-${mp3.length - 1}/${mp3.length}`
      const length = { 'content-length': String(body.length), 'content-range': range }
      sendReply(response, { status: 206, headers: { ...headers, ...length }, body })
    }
  }
}
