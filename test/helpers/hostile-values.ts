import { gzipSync } from 'node:zlib'
import fc from 'fast-check'

type Text = fc.Arbitrary<string>

const long = 'x'.repeat(4_000)
const texts = [
  ...['', ' ', '\0', 'a\0b', '\ud800', 'b\udc00', '\u202eabc', '\ufeff', '😀'.repeat(200), long, '\r\nX-Injected: yes'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', '[object Object]', '../../etc/passwd', '{"a":1}', "'"],
  ...["1' or '1'='1", '1; select pg_sleep(9)', '-1', '0', '٣', '1e9', '1e999', '0x10', 'NaN', 'null', 'infinity'],
  ...['9223372036854775807', '9223372036854775808', '99999999999999999999999999', '2025-02-30T00:00:00Z'],
  ...['+275760-09-13T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59.999999999Z', 'whsec_', 'http://[', '//'],
]
export const hostileText: Text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...texts) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40, size: 'max' }) },
)

const brokenEscapes = [
  '%',
  '%zz',
  '%00',
  '%ff%fe',
  '%c0%af',
  '%ed%a0%80',
  '%2e%2e%2f',
  '%0d%0aX-Injected:%20yes',
  '%u0041',
]
export const percentEncoded = (text: string): string => encodeURIComponent(text.toWellFormed())
/** Of a path or a query, escaped, or broken in its escapes. */
export const hostilePart: Text = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...brokenEscapes) },
  { weight: 3, arbitrary: hostileText.map(percentEncoded) },
)

const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth)
/** JSON that is valid, at least nearly. */
export const hostileJson: Text = fc.oneof(
  fc.constantFrom(
    ...['null', 'true', '0', '-0', '-1', '1.5', '1e999', '-1e999', '1e-999', '99999999999999999999999999', '[]', '{}'],
    ...['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}', '{"a":1,"a":2}', '[null]'],
    ...[nested('[', ']', 2_000), nested('{"a":', '}', 30), `{"${long}":1}`, '"\\u0000"', '"\\ud800"', '[[[[]]]]'],
  ),
  hostileText.map((text) => JSON.stringify(text)),
  fc.json({ maxDepth: 3 }),
)

const malformed = [
  ...['', ' ', '{', '{"a"', '"', '{"a":1}}', '{"a":1}{"b":2}', 'NaN', "{'a':1}", '\0', '[1,]', '--x\r\n\r\n'],
  ...['a=1&b=%zz&%=&&', '['.repeat(100_000), '{"a":'.repeat(40_000), nested('[', ']', 100_000)],
  `{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":1`).join()}}`,
]
/** They break what reads them, rather than what they mean. */
export const malformedBodies: Buffer[] = [
  ...malformed.map((text) => Buffer.from(text)),
  ...[Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), Buffer.from('\ufeff{"direction":"inbound"}')],
  ...[Buffer.from('{"direction":"inbound"}', 'utf16le'), gzipSync('{}').subarray(0, 9)],
]
export const hugeBodies: Buffer[] = [Buffer.from(`{"name":"${long.repeat(75)}"}`), gzipSync(Buffer.alloc(5_000_000))]

/** Mostly the first, now and then one of the others. */
export const mostly = <T>(usual: fc.Arbitrary<T>, ...others: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5 * others.length, arbitrary: usual }, ...others.map((arbitrary) => ({ weight: 1, arbitrary })))
