import type { Socket } from 'node:net'
import type { RawAnswer } from './raw-endpoint.ts'

/** An answer, and what the attempt's row must say of it. */
export interface HostileAnswer {
  answer: RawAnswer
  result: 'ok' | 'http_error' | 'timeout' | 'reset'
  status?: number
  /** The excerpt's bytes; absent: not looked at. */
  excerpt?: Buffer | null
}

const bytes = (...parts: (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)))

const says =
  (...parts: (string | Buffer)[]): RawAnswer =>
  (socket) => {
    socket.write(bytes(...parts))
  }

const saysAndResets =
  (text: string): RawAnswer =>
  (socket) => {
    // The reset must not overtake what was written.
    socket.write(text, () => setTimeout(() => socket.resetAndDestroy(), 20))
  }

const whole = (status: string, body: string | Buffer = '', headers = ''): RawAnswer =>
  says(`HTTP/1.1 ${status}\r\n${headers}content-length: ${body.length}\r\n\r\n`, body)

/** Says `first`, then `more` again and again until the other side has had enough. */
const forever =
  (first: string, more: string | Buffer, everyMs: number): RawAnswer =>
  (socket) => {
    socket.write(first)
    repeat(socket, more, everyMs)
  }

function repeat(socket: Socket, more: string | Buffer, everyMs: number): void {
  const next = (): void => {
    if (socket.destroyed) return
    if (everyMs > 0) socket.write(more, () => setTimeout(next, everyMs))
    else if (socket.write(more)) setImmediate(next)
    else socket.once('drain', next)
  }
  next()
}

const ugly = Buffer.from([0x00, 0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0x00, 0x27, 0x5c])
const longText = Buffer.alloc(8_000, 'x')
const page = Buffer.alloc(16_384, 'y')
const anEarlyHint = 'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n'
const anOk = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

const answered = (status: number, text: string): HostileAnswer => ({
  answer: whole(`${status} ${text}`, 'said'),
  result: 'http_error',
  status,
  excerpt: Buffer.from('said'),
})

/** What receivers do, by name. Names are paths as well. */
export const hostileAnswers: Record<string, HostileAnswer> = {
  '200': { answer: whole('200 OK', 'ok'), result: 'ok', status: 200, excerpt: Buffer.from('ok') },
  '201': { answer: whole('201 Created'), result: 'ok', status: 201, excerpt: null },
  '204': { answer: says('HTTP/1.1 204 No Content\r\n\r\n'), result: 'ok', status: 204, excerpt: null },
  '200-until-close': {
    answer: (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nold manners'),
    result: 'ok',
    status: 200,
    excerpt: Buffer.from('old manners'),
  },
  '200-chunked': {
    answer: says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
    result: 'ok',
    status: 200,
    excerpt: Buffer.from('ok'),
  },
  '200-long': { answer: whole('200 OK', longText), result: 'ok', status: 200, excerpt: longText.subarray(0, 2_048) },
  '200-said-to-be-gzip': {
    answer: whole('200 OK', 'no gzip', 'content-encoding: gzip\r\n'),
    result: 'ok',
    status: 200,
    excerpt: Buffer.from('no gzip'),
  },
  '103-then-200': { answer: says(anEarlyHint, anOk), result: 'ok', status: 200, excerpt: Buffer.from('ok') },
  '102-many-then-200': {
    answer: says('HTTP/1.1 102 Processing\r\n\r\n'.repeat(50), anOk),
    result: 'ok',
    status: 200,
  },
  '103-without-end': { answer: forever('', anEarlyHint, 10), result: 'timeout' },
  // Nobody asked for it, and the client takes it for a broken answer.
  '100-then-200': { answer: says('HTTP/1.1 100 Continue\r\n\r\n', anOk), result: 'reset' },
  '101': {
    answer: says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
    result: 'reset',
  },
  '304': { answer: says('HTTP/1.1 304 Not Modified\r\n\r\n'), result: 'http_error', status: 304, excerpt: null },
  '400': answered(400, 'Bad Request'),
  '401': answered(401, 'Unauthorized'),
  '404': answered(404, 'Not Found'),
  '410': answered(410, 'Gone'),
  '429': answered(429, 'Too Many Requests'),
  '500': answered(500, 'Internal Server Error'),
  '503': answered(503, 'Service Unavailable'),
  '999': answered(999, 'Go Away'),
  'closed-unanswered': { answer: (socket) => socket.end(), result: 'reset' },
  'reset-unanswered': { answer: (socket) => socket.resetAndDestroy(), result: 'reset' },
  'reset-in-headers': { answer: saysAndResets('HTTP/1.1 200 OK\r\ncontent-le'), result: 'reset' },
  'reset-in-body': {
    answer: saysAndResets('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
    result: 'reset',
    status: 200,
  },
  'closed-in-body': {
    answer: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
    result: 'reset',
    status: 200,
    excerpt: Buffer.from('half'),
  },
  'broken-chunk': {
    answer: says('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n'),
    result: 'reset',
    status: 200,
  },
  'two-lengths': {
    answer: says('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok'),
    result: 'reset',
  },
  'two-answers': { answer: says(anOk, 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n'), result: 'ok', status: 200 },
  never: { answer: () => undefined, result: 'timeout', excerpt: null },
  'never-after-headers': {
    answer: says('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'),
    result: 'timeout',
    status: 200,
    excerpt: null,
  },
  'slow-body': {
    answer: forever('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n', 'z', 1_000),
    result: 'timeout',
    status: 200,
  },
  'slow-headers': { answer: forever('HTTP/1.1 200 OK\r\nx: ', 'z', 1_000), result: 'timeout' },
  '200-without-end': {
    answer: forever('HTTP/1.1 200 OK\r\n\r\n', page, 0),
    result: 'ok',
    status: 200,
    excerpt: page.subarray(0, 2_048),
  },
  '500-without-end': {
    answer: forever('HTTP/1.1 500 No\r\n\r\n', page, 0),
    result: 'http_error',
    status: 500,
    excerpt: page.subarray(0, 2_048),
  },
  '200-ugly': { answer: whole('200 OK', ugly), result: 'ok', status: 200, excerpt: ugly },
  '500-ugly': {
    answer: whole('500 \xff\xfe', ugly, 'x-ugly: \xff\xfe\r\n'),
    result: 'http_error',
    status: 500,
    excerpt: ugly,
  },
  'reset-ugly': { answer: says('HTTP/1.1 \x00\xff\xfe\r\n\r\n', ugly), result: 'reset' },
  'no-http': { answer: says('220 smtp.example.org ESMTP\r\n'), result: 'reset' },
  'headers-without-end': { answer: forever('HTTP/1.1 200 OK\r\n', `x: ${'h'.repeat(4_000)}\r\n`, 0), result: 'reset' },
  'broken-header': { answer: says('HTTP/1.1 200 OK\r\nx\x00y: 1\r\n\r\n'), result: 'reset' },
}
